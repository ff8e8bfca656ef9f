"""Meta-DT: a decision transformer with a task code from a world model and a complementary prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from metabench import Config, Method, Policy, Spaces, TrainingData, TrainingRun

from ..common.decision_transformer.saving import load_networks, load_settings
from .config import VARIANTS, MetaDTConfig, build_presets
from .policy import MetaDTPolicy
from .reproduction.config import ReproduceConfig
from .reproduction.reproduce import reproduce
from .train import build_transformer, train_policy
from .world_model import WorldModel


class MetaDT(Method):
    """Meta-DT (Wang et al., NeurIPS 2024, arXiv 2410.11448), true to the paper."""

    name: ClassVar[str] = "meta-dt"
    version: ClassVar[int] = 2
    paper: ClassVar[str | None] = "https://arxiv.org/abs/2410.11448"
    predicts: ClassVar[bool] = True
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = VARIANTS
    reproduction: ClassVar[type[Config] | None] = ReproduceConfig
    config_class: ClassVar[type[Config]] = MetaDTConfig
    config: MetaDTConfig

    @classmethod
    def presets(cls, suite: str) -> Mapping[str, Config]:
        """Configurations for `suite` by preset."""
        return build_presets(suite)

    @classmethod
    def reproduce(cls, config: Config, run: TrainingRun) -> Sequence[Mapping[str, Any]]:
        """Published numbers of Meta-DT and Prompt-DT beside those of our records, and what differs."""
        assert isinstance(config, ReproduceConfig)
        return reproduce(config, run)

    def train(self, data: TrainingData, run: TrainingRun) -> Policy:
        """Train the world model, freeze it, then the transformer on its codes; adds diagnostics to the summary."""
        return train_policy(self.config, data, run)

    def load(self, folder: Path, spaces: Spaces) -> Policy:
        """Read back a saved policy."""
        config, scales, weights = load_settings(folder, spaces, MetaDTConfig)
        networks = build_transformer(config, spaces)
        zero_shot = build_transformer(config, spaces) if config.separate_zero_shot else None
        model = None if config.no_context else WorldModel(config, spaces)
        policy = MetaDTPolicy(config, networks, zero_shot, model, spaces, scales)
        load_networks(folder, weights, policy.modules())
        return policy
