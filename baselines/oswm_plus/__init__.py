"""OSWM: a world model from synthetic environments, adapted to a task by reading its transitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from metabench import Config, Method, Policy, Spaces, TrainingData, TrainingRun

from ..common.planning.config import VARIANTS, fit_to_budget
from .config import (
    LARGEST_CONTEXTS,
    META_PRESETS,
    PRESETS,
    PRETRAINING,
    REPLANNING,
    OSWMConfig,
    OSWMMetaConfig,
    PretrainingConfig,
)
from .meta_training import measure_one_step_errors, train_on_tasks
from .policy import OSWMPolicy, load_oswm_policy
from .pretrain import pretrain_world_model
from .reproduction.reproduce import OSWMReproduceConfig, reproduce_oswm
from .weights import load_reader, pack_state, read_pretraining_seconds

__all__ = ["OSWMPlus", "OSWMPlusMeta", "load_reader"]

CONTEXTS = (0, 16, 64, 256)
"""Context rows at which the world model's errors on validation tasks are measured."""


class OSWMPlus(Method):
    """A transformer that was pretrained on synthetic environments reads the support, and a planner acts in it.

    After One-Shot World Models (Ferreira et al. 2024, arXiv 2409.14084), improved: see the README beside it. It uses no
    training task's data.
    """

    name: ClassVar[str] = "oswm-plus"
    version: ClassVar[int] = 4
    paper: ClassVar[str | None] = "https://arxiv.org/abs/2409.14084"
    predicts: ClassVar[bool] = True
    trains: ClassVar[bool] = False
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = VARIANTS
    pretraining: ClassVar[Mapping[str, Config]] = PRETRAINING
    reproduction: ClassVar[type[Config] | None] = OSWMReproduceConfig
    config_class: ClassVar[type[Config]] = OSWMConfig
    config: OSWMConfig

    @classmethod
    def presets(cls, suite: str) -> Mapping[str, Config]:
        """Where queries cost most, plans are acted for longer."""
        return fit_to_budget(PRESETS, suite, REPLANNING, LARGEST_CONTEXTS)

    @classmethod
    def pretrain(cls, config: Config, run: TrainingRun) -> Mapping[str, Any]:
        """Pretrain on synthetic environments."""
        assert isinstance(config, PretrainingConfig)
        return pack_state(pretrain_world_model(config, run))

    def pretraining_seconds(self) -> float | None:
        """As its weights say."""
        return read_pretraining_seconds(self.config.weights)

    @classmethod
    def reproduce(cls, config: Config, run: TrainingRun) -> Sequence[Mapping[str, Any]]:
        """The paper's experiment in five small environments: oswm-plus, the published system and the yardsticks."""
        assert isinstance(config, OSWMReproduceConfig)
        return reproduce_oswm(config, run)

    def train(self, data: TrainingData, run: TrainingRun) -> Policy:
        """Nothing is trained; the world model's errors on validation tasks are noted."""
        reader = load_reader(data.spaces, self.config.weights)
        if data.validation.num_episodes:
            generator = run.generator("errors")
            run.summary["world_model"] = measure_one_step_errors(
                reader.model, data.validation, data.spaces, generator, CONTEXTS
            )
        return OSWMPolicy(reader, self.config, data.spaces)

    def load(self, folder: Path, spaces: Spaces) -> Policy:
        """Read back a saved policy; raises `DataError` if it is missing, damaged, or of other spaces."""
        return load_oswm_policy(type(self.config), folder, spaces)


class OSWMPlusMeta(OSWMPlus):
    """The same world model, which goes on learning from the training tasks' data."""

    name: ClassVar[str] = "oswm-plus-meta"
    trains: ClassVar[bool] = True
    pretraining: ClassVar[Mapping[str, Config]] = {}
    reproduction: ClassVar[type[Config] | None] = None
    config_class: ClassVar[type[Config]] = OSWMMetaConfig
    config: OSWMMetaConfig

    @classmethod
    def presets(cls, suite: str) -> Mapping[str, Config]:
        """Where queries cost most, plans are acted for longer."""
        return fit_to_budget(META_PRESETS, suite, REPLANNING, LARGEST_CONTEXTS)

    def train(self, data: TrainingData, run: TrainingRun) -> Policy:
        """Train on the fitting tasks; logs losses on the validation tasks."""
        reader = load_reader(data.spaces, self.config.weights)
        train_on_tasks(reader.model, self.config, data, run)
        reader.model.cpu()
        if data.validation.num_episodes:
            generator = run.generator("errors")
            run.summary["world_model"] = measure_one_step_errors(
                reader.model, data.validation, data.spaces, generator, CONTEXTS
            )
        return OSWMPolicy(reader, self.config, data.spaces)
