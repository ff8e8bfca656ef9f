"""Meta-DT-plus: what we make of Meta-DT, a code of the whole history that must predict elsewhere in the task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from metabench import Config, Method, Policy, Spaces, TrainingData, TrainingRun

from ..common.decision_transformer.saving import load_networks, load_settings
from ..meta_dt.config import ABLATIONS
from ..meta_dt.train import build_transformer
from .config import MetaDTPlusConfig, build_presets
from .policy import MetaDTPlusPolicy
from .train import train_policy
from .world_model import HistoryWorldModel


class MetaDTPlus(Method):
    """Meta-DT with a code of the whole history and support, trained to predict elsewhere in the task."""

    name: ClassVar[str] = "meta-dt-plus"
    predicts: ClassVar[bool] = True
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = ABLATIONS
    config_class: ClassVar[type[Config]] = MetaDTPlusConfig
    config: MetaDTPlusConfig

    @classmethod
    def presets(cls, suite: str) -> Mapping[str, Config]:
        """Configurations for `suite` by preset."""
        return build_presets(suite)

    def train(self, data: TrainingData, run: TrainingRun) -> Policy:
        """Train task table, world model and transformer, in this order; adds diagnostics to the summary."""
        return train_policy(self.config, data, run)

    def load(self, folder: Path, spaces: Spaces) -> Policy:
        """Read back a saved policy."""
        config, scales, weights = load_settings(folder, spaces, MetaDTPlusConfig)
        networks = build_transformer(config, spaces)
        zero_shot = build_transformer(config, spaces) if config.separate_zero_shot else None
        model = None if config.no_context else HistoryWorldModel(config, spaces)
        policy = MetaDTPlusPolicy(config, networks, zero_shot, model, spaces, scales)
        load_networks(folder, weights, policy.modules())
        return policy
