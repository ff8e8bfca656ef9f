"""Task families as batched simulators: many lanes of different tasks step at once."""

from metabench.envs.batched import BatchedEnvironment, BatchStep, TaskParameters
from metabench.envs.declared_spaces import DeclaredSpaces
from metabench.envs.family import TaskFamily, Teacher, family_names, load_family
from metabench.envs.spaces import Array, Spaces

__all__ = [
    "Array",
    "BatchStep",
    "BatchedEnvironment",
    "DeclaredSpaces",
    "Spaces",
    "TaskFamily",
    "TaskParameters",
    "Teacher",
    "family_names",
    "load_family",
]
