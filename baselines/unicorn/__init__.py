"""UNICORN: offline meta-RL with codes that tell what actions lead to."""

from __future__ import annotations

from collections.abc import Mapping

from metabench import Config, Spaces

from ..common.task_inference.config import IDAQ
from ..common.task_inference.method import TaskInferenceMethod
from ..common.task_inference.objective import EncoderObjective
from .config import IDAQ_VARIANTS, SUITE_WEIGHTS, VARIANTS, UnicornConfig
from .objective import ReconstructionObjective


class Unicorn(TaskInferenceMethod):
    """UNICORN: a code that reconstructs what actions lead to, with some metric learning, and an actor-critic on it.

    What a task is, and nothing of who acted in it, decides the outcome of an action in a state.
    """

    name = "unicorn"
    paper = "https://arxiv.org/abs/2402.02429"
    config_class = UnicornConfig
    config: UnicornConfig
    variants = VARIANTS
    suite_settings = SUITE_WEIGHTS

    def make_objective(self, spaces: Spaces) -> EncoderObjective:
        """Reconstruction and metric loss."""
        return ReconstructionObjective(spaces, self.config)


class UnicornIdaq(Unicorn):
    """UNICORN that explores as IDAQ: support by the codes of random training tasks, the code from its best episode.

    Its own episodes are unlike the data that the encoder knows; those that went well are the least so.
    """

    name = "unicorn-idaq"
    paper = "https://arxiv.org/abs/2305.19529"
    variants = IDAQ_VARIANTS

    @classmethod
    def presets(cls, suite: str) -> Mapping[str, Config]:
        """UNICORN's, with IDAQ's exploration."""
        return {
            name: config.model_copy(update=dict(IDAQ))
            for name, config in super().presets(suite).items()
        }
