"""The policy: planning in the ensemble, by what pays in the lane's task."""

from __future__ import annotations

from metabench import Spaces

from ..common.world_models.ensemble import Ensemble
from ..common.world_models.policy import PlanningModelPolicy
from .config import ExploreThenFitConfig, FitConfig, GoalConfig
from .model import FittedRewardModel, GoalModel, TaskRewardModel


class TaskRewardPolicy(PlanningModelPolicy):
    """Plans by a fitted reward or towards a goal; explores in support episodes."""

    def __init__(self, ensemble: Ensemble, config: FitConfig, spaces: Spaces) -> None:
        """Plan in a trained ensemble."""
        super().__init__(ensemble, config, spaces, make_reward_model(ensemble, config))
        wanted = ("states",) if isinstance(config, GoalConfig) else ("states", "rewards")
        self._explores = config.explores in wanted
        self._predicts = isinstance(config, ExploreThenFitConfig)

    @property
    def predicts(self) -> bool:
        """Not where a distance stands in the reward's place."""
        return self._predicts


def make_reward_model(ensemble: Ensemble, config: FitConfig) -> TaskRewardModel:
    """Of an ensemble, as the configuration says."""
    if isinstance(config, ExploreThenFitConfig):
        return FittedRewardModel(ensemble, config.explores, config.noise)
    return GoalModel(ensemble, config.explores)
