"""The paper's own experiment on Atari, beside its published numbers. The offline method needs none of it."""
