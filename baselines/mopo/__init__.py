"""mopo: an actor-critic trained on what an ensemble imagines, with and without a context."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from metabench import Config, Method, Policy, Spaces, TrainingData, TrainingRun

from .config import BUDGETS, CONTEXT_BUDGETS, SUITES, VARIANTS, MopoConfig, MopoContextConfig
from .policy import MopoPolicy, load_mopo
from .train import Trained, train_policy


class Mopo(Method):
    """Soft actor-critic in an ensemble of networks, whose doubt is taken off the rewards; it takes all tasks for one.

    What a context gains is what `mopo-context` has above this.
    """

    name = "mopo"
    predicts: ClassVar[bool] = True
    paper = "https://arxiv.org/abs/2005.13239"
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = VARIANTS
    config_class: ClassVar[type[Config]] = MopoConfig
    config: MopoConfig | MopoContextConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = BUDGETS

    @classmethod
    def presets(cls, suite: str) -> Mapping[str, Config]:
        """Budgets, with what is chosen for the suite."""
        return {
            name: cls.config_class.model_validate({**each, **SUITES.get(suite, {})})
            for name, each in cls.budgets.items()
        }

    def train(self, data: TrainingData, run: TrainingRun) -> Policy:
        """Train the ensemble, then the actor-critic in it."""
        trained = train_policy(self.config, data, run)
        on_cpu = Trained(trained.ensemble.cpu(), trained.networks.cpu())
        return MopoPolicy(on_cpu, self.config, data.spaces)

    def load(self, folder: Path, spaces: Spaces) -> Policy:
        """Read back a saved policy; raises `DataError` if it is missing, damaged, or of other spaces."""
        return load_mopo(folder, spaces, self.config_class, self.name)


class MopoContext(Mopo):
    """Soft actor-critic in an ensemble of networks; both are told a code of the task, read as `cadm` reads it."""

    name = "mopo-context"
    config_class: ClassVar[type[Config]] = MopoContextConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = CONTEXT_BUDGETS
