"""dreamer-offline: an actor-critic trained in the imagination of a recurrent state-space model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from metabench import Config, Method, Policy, Spaces, TrainingData, TrainingRun

from .config import BUDGETS, SUITES, VARIANTS, DreamerConfig
from .policy import DreamerPolicy, load_dreamer
from .train import Trained, train_policy


class DreamerOffline(Method):
    """Soft actor-critic in the states of a recurrent model, whose prior heads' disagreement is taken off the rewards.

    The model is DreamerV3's, of vectors; its state carries what is known of the task.
    """

    name = "dreamer-offline"
    predicts: ClassVar[bool] = True
    paper = "https://arxiv.org/abs/2301.04104"
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = VARIANTS
    config_class: ClassVar[type[Config]] = DreamerConfig
    config: DreamerConfig

    @classmethod
    def presets(cls, suite: str) -> Mapping[str, Config]:
        """Budgets, with what is chosen for the suite."""
        return {
            name: DreamerConfig.model_validate({**each, **SUITES.get(suite, {})})
            for name, each in BUDGETS.items()
        }

    def train(self, data: TrainingData, run: TrainingRun) -> Policy:
        """Train the model, then the actor-critic in it."""
        trained = train_policy(self.config, data, run)
        on_cpu = Trained(trained.network.cpu(), trained.networks.cpu())
        return DreamerPolicy(on_cpu, self.config, data.spaces)

    def load(self, folder: Path, spaces: Spaces) -> Policy:
        """Read back a saved policy; raises `DataError` if it is missing, damaged, or of other spaces."""
        return load_dreamer(folder, spaces, self.name)
