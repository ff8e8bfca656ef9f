"""Meta-DT-plus."""
