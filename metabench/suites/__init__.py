"""Suites: named, versioned families of tasks with explicit numbers, splits, data recipes and references.

What a task's world does belongs to `envs`, data to `data`. The names below are imported on first use: the schema and
the families take time that finding and listing suites need not.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
