"""Data: collected, stored as Minari, read through a memory-mapped store, gathered in batches."""
