"""BOReL: a belief over tasks, and offline RL in the MDP whose states are observation and belief."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from metabench import Config, Method, Spaces, TrainingData, TrainingRun

from .config import BUDGETS, SUITES, VARIANTS, BorelConfig
from .policy import BorelPolicy, load_borel
from .train import train_networks


class Borel(Method):
    """BOReL: a recurrent belief that must tell the whole trajectory from each prefix, an actor-critic on it.

    The belief knows how unsure it is, so that the policy can find out first and use it then.
    """

    name = "borel"
    paper = "https://arxiv.org/abs/2008.02598"
    config_class = BorelConfig
    config: BorelConfig
    variants = VARIANTS

    @classmethod
    def presets(cls, suite: str) -> Mapping[str, Config]:
        """Budgets, with what goes with the suite."""
        chosen = SUITES.get(suite, {})
        return {
            name: BorelConfig.model_validate({**chosen, **budget})
            for name, budget in BUDGETS.items()
        }

    def train(self, data: TrainingData, run: TrainingRun) -> BorelPolicy:
        """Rewards, beliefs, actor-critic, on the fitting tasks; nothing is selected."""
        return BorelPolicy(train_networks(self.config, data, run), data.spaces, self.config)

    def load(self, folder: Path, spaces: Spaces) -> BorelPolicy:
        """Read back a saved policy; raises `DataError` if it is missing, damaged, or of other spaces."""
        return load_borel(folder, spaces)
