"""CSRO: offline meta-RL with codes that say little of who acted."""

from __future__ import annotations

from collections.abc import Mapping

from metabench import Config, Spaces

from ..common.task_inference.method import TaskInferenceMethod
from ..common.task_inference.objective import EncoderObjective
from .config import PAPER, SUITE_WEIGHTS, VARIANTS, CsroConfig
from .objective import InformationObjective


class Csro(TaskInferenceMethod):
    """CSRO: FOCAL's codes with a bound on what they tell of state and action; its first support episode is random.

    A code that knows the behaviour policy misleads as soon as somebody else acts.
    """

    name = "csro"
    paper = "https://arxiv.org/abs/2311.03695"
    config_class = CsroConfig
    config: CsroConfig
    variants = VARIANTS
    published = PAPER

    @classmethod
    def presets(cls, suite: str) -> Mapping[str, Config]:
        """The family's budgets, with the suite's weight of the information."""
        chosen = SUITE_WEIGHTS.get(suite, {})
        return {
            name: config.model_copy(update=dict(chosen))
            for name, config in super().presets(suite).items()
        }

    def make_objective(self, spaces: Spaces) -> EncoderObjective:
        """Metric loss and information."""
        return InformationObjective(spaces, self.config)
