"""unicorn-plus: UNICORN whose decoders say which task it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from metabench import Config, Spaces, TrainingData, TrainingRun

from ..common.task_inference.method import TaskInferenceMethod
from ..common.task_inference.train import train_networks
from ..unicorn.config import SUITE_WEIGHTS
from ..unicorn.objective import ReconstructionObjective
from .config import VARIANTS, UnicornPlusConfig
from .policy import UnicornPlusPolicy, load_unicorn_plus


class UnicornPlus(TaskInferenceMethod):
    """UNICORN that reads by its decoders: a belief over the training tasks' codes, explored by draws from it.

    An encoder takes its own walk toward a wrong goal for that goal; the decoders are asked what would have been paid.
    """

    name = "unicorn-plus"
    config_class = UnicornPlusConfig
    config: UnicornPlusConfig
    variants = VARIANTS
    suite_settings = SUITE_WEIGHTS
    predicts = True

    @classmethod
    def presets(cls, suite: str) -> Mapping[str, Config]:
        """UNICORN's, with a belief that grows in the episode."""
        return {
            name: config.model_copy(update={"own_transitions": True})
            for name, config in super().presets(suite).items()
        }

    def make_objective(self, spaces: Spaces) -> ReconstructionObjective:
        """UNICORN's."""
        return ReconstructionObjective(spaces, self.config)

    def train(self, data: TrainingData, run: TrainingRun) -> UnicornPlusPolicy:
        """Train as unicorn does, and keep the decoders."""
        run.torch_seed("objective")
        objective = self.make_objective(data.spaces)
        trained = train_networks(self.config, objective, data, run)
        return UnicornPlusPolicy(trained, objective.decoder, data.spaces, self.config)

    def load(self, folder: Path, spaces: Spaces) -> UnicornPlusPolicy:
        """Read back a saved policy; raises `DataError` if it is missing, damaged, or of other spaces."""
        return load_unicorn_plus(folder, spaces, self.name)
