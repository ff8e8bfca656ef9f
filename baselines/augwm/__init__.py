"""augwm: mopo in branches whose changes are scaled, so that the actor knows what to do where dynamics are others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from metabench import Config, TrainingData, TrainingRun

from ..common.world_models.contract import TellingModel
from ..common.world_models.dyna.method import DynaMethod
from ..common.world_models.dyna.train import Trained, train_policy
from ..common.world_models.ensemble import Ensemble
from .config import VARIANTS, AugwmConfig
from .model import ScaledModel
from .scaling import ChangeScaling


class Augwm(DynaMethod):
    """MOPO in augmented dynamics: imagined changes are scaled at random, and the actor is told by how much.

    When it acts, a linear regression finds the factors. Where rewards alone differ its model is mopo's.
    """

    name = "augwm"
    paper = "https://arxiv.org/abs/2104.05632"
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = VARIANTS
    config_class: ClassVar[type[Config]] = AugwmConfig
    config: AugwmConfig

    def train_networks(self, data: TrainingData, run: TrainingRun) -> Trained:
        """Train the ensemble, then the actor-critic in its augmented branches."""
        return train_policy(
            self.config, data, run, augment=ChangeScaling, told=data.spaces.observation_dim
        )

    def make_model(self, ensemble: Ensemble) -> TellingModel:
        """The ensemble, with changes scaled as they were found to be."""
        return ScaledModel(ensemble)

    def count_told(self, ensemble: Ensemble) -> int:
        """A factor for each coordinate."""
        return ensemble.spaces.observation_dim
