"""Prompt-DT: a decision transformer prompted by a segment of an episode of the same task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from metabench import Config, Method, Policy, Spaces, TrainingData, TrainingRun

from ..common.decision_transformer.saving import load_networks, load_settings
from ..common.decision_transformer.train import build_networks
from .config import PromptDTConfig, build_presets
from .policy import PromptDTPolicy
from .train import train_policy


class PromptDT(Method):
    """Prompt-DT (Xu et al., ICML 2022): prompts are segments of support episodes; none at zero shots."""

    name: ClassVar[str] = "prompt-dt"
    paper: ClassVar[str | None] = "https://arxiv.org/abs/2206.13499"
    config_class: ClassVar[type[Config]] = PromptDTConfig
    config: PromptDTConfig

    @classmethod
    def presets(cls, suite: str) -> Mapping[str, Config]:
        """Configurations for `suite` by preset."""
        return build_presets(suite)

    def train(self, data: TrainingData, run: TrainingRun) -> Policy:
        """Train on windows of the fitting tasks, half of them after a random segment of another episode of the task."""
        return train_policy(self.config, data, run)

    def load(self, folder: Path, spaces: Spaces) -> Policy:
        """Read back a saved policy."""
        config, scales, weights = load_settings(folder, spaces, PromptDTConfig)
        networks = build_networks(config, spaces)
        load_networks(folder, weights, networks.modules())
        return PromptDTPolicy(config, networks, spaces, scales)
