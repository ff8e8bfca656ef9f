"""The paper's own tables on the group's released data, beside its published numbers."""
