"""CSRO: offline meta-RL with codes that say little of who acted."""

from __future__ import annotations

from metabench import Spaces

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
    suite_settings = SUITE_WEIGHTS
    published = PAPER

    def make_objective(self, spaces: Spaces) -> EncoderObjective:
        """Metric loss and information."""
        return InformationObjective(spaces, self.config)
