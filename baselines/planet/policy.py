"""Acting by plans in the recurrent model."""

from __future__ import annotations

from pathlib import Path

from metabench import Spaces

from ..common.world_models.policy import ModelPlanningPolicy
from ..common.world_models.recurrent.model import RecurrentModel
from ..common.world_models.recurrent.network import RecurrentStateSpace
from ..common.world_models.saving import save_trained
from .config import PlanetConfig


class PlanetPolicy(ModelPlanningPolicy):
    """Plans by the cross-entropy method; support episodes have noise."""

    def __init__(self, network: RecurrentStateSpace, config: PlanetConfig, spaces: Spaces) -> None:
        """Plan in a trained model."""
        super().__init__(RecurrentModel(network), config, spaces, wander=config.exploration_noise)
        self._network, self._saved = network, config

    def save(self, folder: Path) -> None:
        """Write networks, configuration and spaces."""
        save_trained(self._network, self._saved, self._spaces, folder)
