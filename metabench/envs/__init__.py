"""Task families as batched simulators: many lanes of different tasks step at once; what they look like is a `Scene`.

Families, their environments and how their teachers act belong here. Which tasks a suite has, what data is made of them
and how a teacher is trained must stay out: nothing here reads suite.toml or writes data.
"""

from metabench.envs.batched import BatchedEnvironment, BatchStep, TaskParameters
from metabench.envs.blind import BlindPolicy, BlindScripts
from metabench.envs.blind_reference import read_blind
from metabench.envs.declared_spaces import DeclaredSpaces
from metabench.envs.family import (
    MediumErrors,
    TaskFamily,
    Teacher,
    TeacherTraining,
    list_family_names,
    load_family,
)
from metabench.envs.scene import Capsule, Circle, Polyline, Scene
from metabench.envs.spaces import Array, Spaces

__all__ = [
    "Array",
    "BatchStep",
    "BatchedEnvironment",
    "BlindPolicy",
    "BlindScripts",
    "Capsule",
    "Circle",
    "DeclaredSpaces",
    "MediumErrors",
    "Polyline",
    "Scene",
    "Spaces",
    "TaskFamily",
    "TaskParameters",
    "Teacher",
    "TeacherTraining",
    "list_family_names",
    "load_family",
    "read_blind",
]
