"""pets: planning in an ensemble of probabilistic networks that knows nothing of the task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from metabench import Config, Method, Policy, Spaces, TrainingData, TrainingRun

from ..common.planning.config import fit_to_budget
from ..common.world_models.ensemble import Ensemble
from ..common.world_models.policy import EnsemblePlanningPolicy
from ..common.world_models.saving import load_ensemble
from ..common.world_models.train import train_ensemble
from .config import BUDGETS, VARIANTS, PetsConfig


class Pets(Method):
    """Plans by the cross-entropy method in an ensemble of probabilistic networks, one for all tasks.

    It takes all tasks for one: what a model gains by a context is what it has above this.
    """

    name = "pets"
    predicts: ClassVar[bool] = True
    paper = "https://arxiv.org/abs/1805.12114"
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = VARIANTS
    config_class: ClassVar[type[Config]] = PetsConfig
    config: PetsConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = BUDGETS

    @classmethod
    def presets(cls, suite: str) -> Mapping[str, Config]:
        """Where queries cost most, plans are acted for longer."""
        presets = {
            name: cls.config_class.model_validate(each) for name, each in cls.budgets.items()
        }
        return fit_to_budget(presets, suite)

    def train(self, data: TrainingData, run: TrainingRun) -> Policy:
        """Train the ensemble; planning has nothing to train."""
        run.torch_seed("initialisation")
        ensemble = Ensemble(data.spaces, self.config)
        train_ensemble(ensemble, data, run)
        return EnsemblePlanningPolicy(ensemble.cpu(), self.config, data.spaces)

    def load(self, folder: Path, spaces: Spaces) -> Policy:
        """Read back a saved policy; raises `DataError` if it is missing, damaged, or of other spaces."""
        ensemble, config = load_ensemble(folder, spaces, self.config_class, self.name)
        return EnsemblePlanningPolicy(ensemble, config, spaces)
