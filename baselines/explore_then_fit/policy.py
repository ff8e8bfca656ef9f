"""The policy: planning in the ensemble, by what pays in the lane's task."""

from __future__ import annotations

from pathlib import Path

from metabench import Spaces

from ..common.world_models.ensemble import Ensemble
from ..common.world_models.policy import ModelPlanningPolicy
from ..common.world_models.saving import save_trained
from .config import ExploreThenFitConfig, GoalConfig
from .model import FittedRewardModel, GoalModel, TaskRewardModel


class TaskRewardPolicy(ModelPlanningPolicy):
    """Plans by a fitted reward or towards a goal; explores in support episodes."""

    def __init__(
        self, ensemble: Ensemble, config: ExploreThenFitConfig | GoalConfig, spaces: Spaces
    ) -> None:
        """Plan in a trained ensemble."""
        model = make_reward_model(ensemble, config)
        super().__init__(model, config, spaces, explores=config.explores != "nothing")
        self._ensemble, self._fit = ensemble, config

    @property
    def predicts(self) -> bool:
        """Not where a distance stands in the reward's place."""
        return isinstance(self._fit, ExploreThenFitConfig)

    def save(self, folder: Path) -> None:
        """Write networks, configuration and spaces."""
        save_trained(self._ensemble, self._fit, self._spaces, folder)


def make_reward_model(
    ensemble: Ensemble, config: ExploreThenFitConfig | GoalConfig
) -> TaskRewardModel:
    """Of an ensemble, as the configuration says."""
    if isinstance(config, ExploreThenFitConfig):
        return FittedRewardModel(ensemble, config.explores, config.noise)
    return GoalModel(ensemble, config.explores)
