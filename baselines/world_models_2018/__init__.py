"""world-models-2018: a recurrent model of mixtures, and a linear controller found in its dreams."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from metabench import Config, Method, Policy, Spaces, TrainingData, TrainingRun

from .config import BUDGETS, VARIANTS, WorldModels2018Config
from .policy import WorldModels2018Policy, load_world_models_2018
from .train import Trained, train_policy


class WorldModels2018(Method):
    """An LSTM that predicts mixtures, and a linear controller that CMA-ES finds in its dreams.

    The hidden state has read the support and the episode so far, so it is the memory of the task.
    """

    name = "world-models-2018"
    predicts: ClassVar[bool] = True
    paper = "https://arxiv.org/abs/1803.10122"
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = VARIANTS
    config_class: ClassVar[type[Config]] = WorldModels2018Config
    config: WorldModels2018Config

    @classmethod
    def presets(cls, suite: str) -> Mapping[str, Config]:
        """Budgets, the same for every suite."""
        del suite
        return {name: WorldModels2018Config.model_validate(each) for name, each in BUDGETS.items()}

    def train(self, data: TrainingData, run: TrainingRun) -> Policy:
        """Train the model, then the controller in its dreams."""
        trained = train_policy(self.config, data, run)
        return WorldModels2018Policy(
            Trained(trained.network.cpu(), trained.numbers), self.config, data.spaces
        )

    def load(self, folder: Path, spaces: Spaces) -> Policy:
        """Read back a saved policy; raises `DataError` if it is missing, damaged, or of other spaces."""
        return load_world_models_2018(folder, spaces, self.name)
