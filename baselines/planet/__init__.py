"""planet: planning in a recurrent state-space model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from metabench import Config, Method, Policy, Spaces, TrainingData, TrainingRun

from ..common.planning.config import fit_to_budget
from ..common.world_models.recurrent.network import RecurrentStateSpace
from ..common.world_models.recurrent.saving import load_recurrent
from ..common.world_models.recurrent.train import train_recurrent
from .config import BUDGETS, VARIANTS, PlanetConfig
from .policy import PlanetPolicy


class Planet(Method):
    """Plans by the cross-entropy method in a recurrent model, whose state carries what is known of the task.

    The model is PlaNet's, of vectors: a GRU, and a Gaussian stochastic state that is foreseen and inferred.
    """

    name = "planet"
    predicts: ClassVar[bool] = True
    paper = "https://arxiv.org/abs/1811.04551"
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = VARIANTS
    config_class: ClassVar[type[Config]] = PlanetConfig
    config: PlanetConfig

    @classmethod
    def presets(cls, suite: str) -> Mapping[str, Config]:
        """Where queries cost most, plans are acted for longer."""
        presets = {name: PlanetConfig.model_validate(each) for name, each in BUDGETS.items()}
        return fit_to_budget(presets, suite)

    def train(self, data: TrainingData, run: TrainingRun) -> Policy:
        """Train the model; planning has nothing to train."""
        run.torch_seed("initialisation")
        network = RecurrentStateSpace(data.spaces, self.config)
        train_recurrent(network, data, run)
        return PlanetPolicy(network.cpu(), self.config, data.spaces)

    def load(self, folder: Path, spaces: Spaces) -> Policy:
        """Read back a saved policy; raises `DataError` if it is missing, damaged, or of other spaces."""
        network, config = load_recurrent(folder, spaces, PlanetConfig, self.name)
        return PlanetPolicy(network, config, spaces)
