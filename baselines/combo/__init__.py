"""combo: an actor-critic trained on what an ensemble imagines, whose critics are held down there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from metabench import Config, TrainingData, TrainingRun

from ..common.actor_critic.losses import Info, Transitions
from ..common.actor_critic.networks import ActorCritic
from ..common.world_models.dyna.method import DynaMethod
from ..common.world_models.dyna.train import Trained, train_policy
from .config import BUDGETS, CONTEXT_BUDGETS, VARIANTS, ComboConfig, ComboContextConfig
from .objective import conservative_loss


class Combo(DynaMethod):
    """Soft actor-critic in an ensemble of networks, whose values are held down in what is imagined.

    It takes all tasks for one, as `mopo` does, and needs no estimate of how sure the ensemble is.
    """

    name = "combo"
    paper = "https://arxiv.org/abs/2102.08363"
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = VARIANTS
    config_class: ClassVar[type[Config]] = ComboConfig
    config: ComboConfig | ComboContextConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = BUDGETS

    def train_networks(self, data: TrainingData, run: TrainingRun) -> Trained:
        """Train the ensemble, then the actor-critic in it, with the conservative loss beside the critics' own."""
        return train_policy(self.config, data, run, beside=self._measure_conservatism)

    def _measure_conservatism(
        self, networks: ActorCritic, logged: Transitions, imagined: Transitions
    ) -> tuple[Tensor, Info]:
        return conservative_loss(networks, logged, imagined, self.config)


class ComboContext(Combo):
    """The same, where ensemble and actor-critic are told a code of the task, read as `cadm` reads it."""

    name = "combo-context"
    config_class: ClassVar[type[Config]] = ComboContextConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = CONTEXT_BUDGETS
