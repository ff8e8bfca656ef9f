"""The suite's blind policy, which knows neither task nor past: what a method earns that never adapts."""

from __future__ import annotations

from pathlib import Path

from metabench import Method, Spaces, TrainingData, TrainingRun

from .policy import BlindReferencePolicy, load_blind


class Blind(Method):
    """The best policy that knows neither task nor past; it was trained in the simulator: privileged, never ranked."""

    name = "blind"
    privileged = True
    trains = False

    def train(self, data: TrainingData, run: TrainingRun) -> BlindReferencePolicy:
        """There is nothing to train; the suite that the data are of ships the policy, or `MethodError` says so."""
        del run
        return BlindReferencePolicy(data.suite_name)

    def load(self, folder: Path, spaces: Spaces) -> BlindReferencePolicy:
        """Read back which suite's policy it is; raises `DataError` if its spaces are not `spaces`."""
        return load_blind(folder, spaces)
