"""explore-then-fit and goal-mpc: a world model of all tasks without a reward, which a task's own steps supply."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from metabench import Config, Policy, Spaces, TrainingData, TrainingRun

from ..common.world_models.ensemble import Ensemble
from ..common.world_models.saving import load_ensemble
from ..common.world_models.train import train_ensemble
from ..pets import Pets
from .config import BUDGETS, GOAL_VARIANTS, VARIANTS, ExploreThenFitConfig, GoalConfig
from .policy import TaskRewardPolicy


class ExploreThenFit(Pets):
    """Explores what it is unsure of, fits the task's reward to what it earned, and plans in the ensemble of pets."""

    name = "explore-then-fit"
    paper = "https://arxiv.org/abs/2005.05960"
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = VARIANTS
    config_class: ClassVar[type[Config]] = ExploreThenFitConfig
    config: ExploreThenFitConfig | GoalConfig
    budgets: ClassVar[Mapping[str, Mapping[str, Any]]] = BUDGETS

    def train(self, data: TrainingData, run: TrainingRun) -> Policy:
        """Train the ensemble; rewards are fitted when acting."""
        run.torch_seed("initialisation")
        ensemble = Ensemble(data.spaces, self.config)
        train_ensemble(ensemble, data, run)
        return TaskRewardPolicy(ensemble.cpu(), self.config, data.spaces)

    def load(self, folder: Path, spaces: Spaces) -> Policy:
        """Read back a saved policy; raises `DataError` if it is missing, damaged, or of other spaces."""
        ensemble, config = load_ensemble(folder, spaces, self.config_class, self.name)
        return TaskRewardPolicy(ensemble, config, spaces)


class GoalMPC(ExploreThenFit):
    """Plans in the ensemble of pets towards the best place that was seen in the task."""

    name = "goal-mpc"
    paper = "https://arxiv.org/abs/1812.00568"
    predicts: ClassVar[bool] = False
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = GOAL_VARIANTS
    config_class: ClassVar[type[Config]] = GoalConfig
