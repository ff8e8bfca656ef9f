"""FOCAL: offline meta-RL by distance metric learning on task codes."""

from __future__ import annotations

from metabench import Spaces

from ..common.task_inference.method import TaskInferenceMethod
from ..common.task_inference.objective import EncoderObjective
from .config import PAPER, VARIANTS, FocalConfig
from .objective import MetricObjective


class Focal(TaskInferenceMethod):
    """FOCAL: codes of one task near each other and of different tasks far, an actor-critic on observation and code.

    The encoder never sees what values are worth: it learns from distances alone.
    """

    name = "focal"
    paper = "https://arxiv.org/abs/2010.01112"
    config_class = FocalConfig
    config: FocalConfig
    variants = VARIANTS
    published = PAPER

    def make_objective(self, spaces: Spaces) -> EncoderObjective:
        """The metric loss."""
        del spaces
        return MetricObjective(self.config.metric_weight)
