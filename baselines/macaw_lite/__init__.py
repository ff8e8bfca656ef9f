"""MACAW-lite: a policy whose last layer and FiLM take gradient steps on the support."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from metabench import Config, Method, Spaces, TrainingData, TrainingRun

from .config import BUDGETS, VARIANTS, MacawLiteConfig
from .policy import MacawLitePolicy, load_macaw_lite
from .train import train_network


class MacawLite(Method):
    """MACAW-lite: gradient steps of advantage-weighted regression on the support, from where training learned to start.

    Returns of the support are summed, never bootstrapped; the last layer and a scale and shift of each unit move.
    """

    name = "macaw-lite"
    paper = "https://arxiv.org/abs/2008.06043"
    config_class = MacawLiteConfig
    config: MacawLiteConfig
    variants = VARIANTS

    @classmethod
    def presets(cls, suite: str) -> Mapping[str, Config]:
        """The same budgets for every suite."""
        del suite
        return {name: MacawLiteConfig.model_validate(budget) for name, budget in BUDGETS.items()}

    def train(self, data: TrainingData, run: TrainingRun) -> MacawLitePolicy:
        """Learn on the fitting tasks where to start and how far to step; nothing is selected."""
        return MacawLitePolicy(train_network(self.config, data, run), data.spaces, self.config)

    def load(self, folder: Path, spaces: Spaces) -> MacawLitePolicy:
        """Read back a saved policy; raises `DataError` if it is missing, damaged, or of other spaces."""
        return load_macaw_lite(folder, spaces)
