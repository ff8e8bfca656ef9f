"""CORRO: offline meta-RL with contrastive codes, whose negatives have the same state and action."""

from __future__ import annotations

from collections.abc import Mapping

from metabench import Config, Spaces

from ..common.task_inference.method import TaskInferenceMethod
from ..common.task_inference.objective import EncoderObjective
from .config import FIRST, VARIANTS, CorroConfig
from .objective import ContrastiveObjective


class Corro(TaskInferenceMethod):
    """CORRO: a contrastive encoder, frozen before an actor-critic learns on its codes.

    Negatives have a query's own state and action and another outcome, so that who acted cannot tell them apart.
    """

    name = "corro"
    paper = "https://arxiv.org/abs/2206.10442"
    config_class = CorroConfig
    config: CorroConfig
    variants = VARIANTS

    @classmethod
    def presets(cls, suite: str) -> Mapping[str, Config]:
        """The family's budgets, with as many updates of the encoder alone."""
        return {
            name: config.model_copy(update={"encoder_first": FIRST[name]})
            for name, config in super().presets(suite).items()
        }

    def make_objective(self, spaces: Spaces) -> EncoderObjective:
        """The contrastive loss."""
        return ContrastiveObjective(spaces, self.config)
