"""The paper's own experiment on six Gymnasium worlds, beside its published numbers."""
