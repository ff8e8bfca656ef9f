"""The Decision-Pretrained Transformer, with an expert's labels and without."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from metabench import Config, Method, Spaces, TrainingData, TrainingRun

from ..common.in_context.policy import load_network
from ..common.in_context.train import train_network
from .config import BUDGETS, VARIANTS, DPTConfig, DPTOwnActionsConfig
from .contexts import ExpertLabels, Labels, OwnActions, QuerySource
from .model import DPTNetwork
from .policy import DPTPolicy


class DPT(Method):
    """Decision-Pretrained Transformer: predicts the expert's action in a state, given transitions of the task.

    It acts with what it has seen of the task as its context; no weight changes.
    """

    name = "dpt"
    paper = "https://arxiv.org/abs/2306.14892"
    uses_expert_labels = True
    config_class: ClassVar[type[DPTConfig]] = DPTConfig
    config: DPTConfig
    variants = VARIANTS

    @classmethod
    def presets(cls, suite: str) -> Mapping[str, Config]:
        """The same budgets for every suite."""
        del suite
        return {name: cls.config_class.model_validate(budget) for name, budget in BUDGETS.items()}

    def label(self, data: TrainingData) -> Labels:
        """Where the actions come from that are imitated."""
        return ExpertLabels(data)

    def train(self, data: TrainingData, run: TrainingRun) -> DPTPolicy:
        """Predict actions after parts of contexts of the fitting tasks; nothing is selected.

        Raises:
            DataError: the data has no labels.
            MethodError: there is one training task only.
        """
        run.torch_seed("initialisation")
        network = DPTNetwork(self.config, data.spaces)

        def open_source(part: TrainingData) -> QuerySource:
            return QuerySource(self.config, part, self.label(part))

        train_network(self.config, network, open_source, data, run)
        return DPTPolicy(network, data.spaces, self.config)

    def load(self, folder: Path, spaces: Spaces) -> DPTPolicy:
        """Read back a saved policy; raises `DataError` if it is missing, damaged, or of other spaces."""
        network, config = load_network(folder, spaces, self.config_class, DPTNetwork, self.name)
        return DPTPolicy(network, spaces, config)


class DPTOwnActions(DPT):
    """DPT without an expert: imitates the actions that the best episodes of a task took themselves."""

    name = "dpt-own-actions"
    uses_expert_labels = False
    config_class: ClassVar[type[DPTConfig]] = DPTOwnActionsConfig
    config: DPTOwnActionsConfig

    def label(self, data: TrainingData) -> Labels:
        """The best episodes' own actions."""
        return OwnActions(self.config, data)
