"""Uniformly random actions: where the normalised score is 0."""

from __future__ import annotations

from pathlib import Path

from metabench import Method, Spaces, TrainingData, TrainingRun

from .policy import RandomPolicy


class Random(Method):
    """Uniformly random actions, drawn from each lane's seed: the lower reference of every table."""

    name = "random"
    trains = False

    def train(self, data: TrainingData, run: TrainingRun) -> RandomPolicy:
        """There is nothing to train; only the spaces are looked at."""
        del run
        return RandomPolicy(data.spaces)

    def load(self, folder: Path, spaces: Spaces) -> RandomPolicy:
        """There is nothing to read."""
        del folder
        return RandomPolicy(spaces)
