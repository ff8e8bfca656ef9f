"""The method class that they share: each member gives its configuration and what it adds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from metabench import Config, Method, Policy, Spaces, TrainingData, TrainingRun

from ..contract import TellingModel
from ..ensemble import Ensemble
from ..policy import make_model
from ..saving import load_ensemble
from .config import BUDGETS, SUITES, DynaConfig, DynaContextConfig
from .policy import DynaPolicy, load_networks
from .train import Trained, make_networks, train_policy


class DynaMethod(Method):
    """An ensemble, and an actor-critic that learns of what it imagines."""

    predicts: ClassVar[bool] = True
    config_class: ClassVar[type[Config]]
    config: DynaConfig | DynaContextConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = BUDGETS

    @classmethod
    def presets(cls, suite: str) -> Mapping[str, Config]:
        """Budgets, with what is chosen for the suite."""
        return {
            name: cls.config_class.model_validate({**each, **SUITES.get(suite, {})})
            for name, each in cls.budgets.items()
        }

    def train_networks(self, data: TrainingData, run: TrainingRun) -> Trained:
        """Train the ensemble, then the actor-critic in it."""
        return train_policy(self.config, data, run)

    def make_model(self, ensemble: Ensemble) -> TellingModel:
        """What is acted with."""
        return make_model(ensemble)

    def count_told(self, ensemble: Ensemble) -> int:
        """How many numbers the model tells the actor of a task."""
        return ensemble.code_dim

    def train(self, data: TrainingData, run: TrainingRun) -> Policy:
        """Train on the fitting tasks; the ensemble is chosen on the validation tasks."""
        trained = self.train_networks(data, run)
        on_cpu = Trained(trained.ensemble.cpu(), trained.networks.cpu())
        return DynaPolicy(on_cpu, self.make_model(on_cpu.ensemble), self.config, data.spaces)

    def load(self, folder: Path, spaces: Spaces) -> Policy:
        """Read back a saved policy; raises `DataError` if it is missing, damaged, or of other spaces."""
        ensemble, config = load_ensemble(folder, spaces, self.config_class, self.name)
        networks = make_networks(ensemble, config, self.count_told(ensemble))
        trained = Trained(ensemble, load_networks(networks, folder, self.name))
        return DynaPolicy(trained, self.make_model(ensemble), config, spaces)
