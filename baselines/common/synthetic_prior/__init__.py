"""Synthetic environments that a world model is pretrained on: no suite's data, no suite's tasks."""
