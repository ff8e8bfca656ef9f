"""Multi-task behaviour cloning without context."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from metabench import Method, Spaces, TrainingData, TrainingRun

from .config import PRESETS, BCConfig
from .policy import BCPolicy, load_policy
from .train import train_network


class BC(Method):
    """Behaviour cloning on all training tasks at once: observation and timestep in, mean action out, no context.

    It cannot tell tasks apart, so it shows what is left of a suite once the task is not inferred.
    """

    name = "bc"
    config_class = BCConfig
    config: BCConfig

    @classmethod
    def presets(cls, suite: str) -> Mapping[str, BCConfig]:
        """The same budgets for every suite."""
        del suite
        return PRESETS

    def train(self, data: TrainingData, run: TrainingRun) -> BCPolicy:
        """Regress the logged actions of the fitting tasks; logs the loss on the validation tasks."""
        return BCPolicy(train_network(self.config, data, run), data.spaces, self.config)

    def load(self, folder: Path, spaces: Spaces) -> BCPolicy:
        """Read back a saved policy; raises `DataError` if it is missing, damaged, or of other spaces."""
        return load_policy(folder, spaces)
