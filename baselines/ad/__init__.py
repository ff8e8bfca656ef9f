"""Algorithm Distillation: a transformer continues learning histories."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from metabench import Config, Method, Spaces, TrainingData, TrainingRun

from ..common.in_context.policy import load_network
from ..common.in_context.train import train_network
from .config import BUDGETS, VARIANTS, ADConfig
from .histories import HistorySource
from .model import ADNetwork
from .policy import ADPolicy


class AD(Method):
    """Algorithm Distillation: a causal transformer imitates learning histories, and so learns within its context.

    It acts with its own episodes as the history; no weight changes.
    """

    name = "ad"
    paper = "https://arxiv.org/abs/2210.14215"
    uses_stages = True
    config_class = ADConfig
    config: ADConfig
    variants = VARIANTS

    @classmethod
    def presets(cls, suite: str) -> Mapping[str, Config]:
        """The same budgets for every suite."""
        del suite
        return {name: ADConfig.model_validate(budget) for name, budget in BUDGETS.items()}

    def train(self, data: TrainingData, run: TrainingRun) -> ADPolicy:
        """Predict every action of contexts of the fitting tasks' histories; nothing is selected.

        Raises:
            DataError: the data has no order of learning.
            MethodError: there is one training task only.
        """
        run.summary["stages"] = int(data.stages.max()) + 1
        run.torch_seed("initialisation")
        network = ADNetwork(self.config, data.spaces)
        train_network(
            self.config, network, lambda part: HistorySource(self.config, part), data, run
        )
        return ADPolicy(network, data.spaces, self.config)

    def load(self, folder: Path, spaces: Spaces) -> ADPolicy:
        """Read back a saved policy; raises `DataError` if it is missing, damaged, or of other spaces."""
        network, config = load_network(folder, spaces, ADConfig, ADNetwork, self.name)
        return ADPolicy(network, spaces, config)
