"""OSWM as published: a world model of a synthetic prior with its defects, and the shared planner."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from metabench import Config, Method, Policy, Spaces, TrainingData, TrainingRun, load_state

from .config import (
    PRETRAINING,
    SMALL_PRETRAINING,
    PublishedConfig,
    PublishedWorldModelConfig,
    make_presets,
)
from .policy import PublishedPolicy, load_published_policy, load_published_weights
from .reader import check_widths
from .train import pretrain_published_model


class OSWMPublished(Method):
    """One-Shot World Model (Ferreira et al. 2024, arXiv 2409.14084) at the published size, with its defects.

    It uses no training data, only the spaces: training is pretraining on synthetic environments, the same for all
    suites of the same slots, or reads weights that were pretrained before. At test time the model reads the support.
    """

    name: ClassVar[str] = "oswm-published"
    version: ClassVar[int] = 2
    paper: ClassVar[str | None] = "https://arxiv.org/abs/2409.14084"
    predicts: ClassVar[bool] = True
    config_class: ClassVar[type[Config]] = PublishedConfig
    config: PublishedConfig
    pretraining: ClassVar[Mapping[str, PublishedWorldModelConfig]] = PRETRAINING

    @classmethod
    def presets(cls, suite: str) -> Mapping[str, Config]:
        """Configurations for `suite` by preset: widened where it has more dimensions than the published slots."""
        return make_presets(suite, cls.pretraining)

    @classmethod
    def pretrain(cls, config: Config, run: TrainingRun) -> Mapping[str, Any]:
        """Weights of a new world model; `config` is one of `pretraining`, perhaps with keys changed."""
        assert isinstance(config, PublishedWorldModelConfig)
        return {"weights": dict(pretrain_published_model(config, run).state_dict())}

    def pretraining_seconds(self) -> float | None:
        """As its weights say; None where training itself is the pretraining, or the weights are the released ones."""
        weights = Path(self.config.weights)
        if not self.config.weights or weights.is_file():  # the released file does not say
            return None
        seconds = load_state(weights).get("seconds")
        return None if seconds is None else float(seconds)

    def train(self, data: TrainingData, run: TrainingRun) -> Policy:
        """Pretrain, unless the configuration names weights.

        Raises:
            MetabenchError: the suite has more dimensions than the model has slots.
            DataError: the weights are missing or damaged.
        """
        config = self.config
        if config.weights:
            model = load_published_weights(Path(config.weights), config.heads)
            return PublishedPolicy(model, config, data.spaces)
        check_widths(config, data.spaces)
        return PublishedPolicy(
            pretrain_published_model(config.world_model, run).cpu(), config, data.spaces
        )

    def load(self, folder: Path, spaces: Spaces) -> Policy:
        """Read back a saved policy; raises `DataError` if it is missing, damaged, or of other spaces."""
        return load_published_policy(folder, spaces)


class OSWMPublishedSmall(OSWMPublished):
    """The same at half the width, a quarter of the parameters: what a processor can pretrain."""

    name: ClassVar[str] = "oswm-published-small"
    pretraining: ClassVar[Mapping[str, PublishedWorldModelConfig]] = SMALL_PRETRAINING
