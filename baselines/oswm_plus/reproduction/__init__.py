"""The paper's own experiment on five Gymnasium worlds, beside its published numbers."""
