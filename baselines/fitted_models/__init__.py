"""The yardsticks of world models: models that are fitted to the support alone, and the same planner."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from metabench import Method, Policy, Spaces, TrainingData, TrainingRun

from ..common.planning.config import VARIANTS, PlannerConfig, fit_to_budget
from ..common.planning.rows import Reader
from .config import KERNEL_CONTEXTS, KERNEL_PRESETS, PRESETS
from .context_regression import CONSTANT
from .model import GaussianProcessReader, KernelReader, RidgeReader
from .policy import FittedModelPolicy, load_fitted_policy


class RidgeModel(Method):
    """Plans in a linear model of changes and reward, fitted to the support or the episode so far.

    It uses no training data: what it cannot do, a world model must show.
    """

    name = "ridge-model"
    version: ClassVar[int] = 3
    predicts: ClassVar[bool] = True
    trains = False
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = VARIANTS
    config_class = PlannerConfig
    config: PlannerConfig
    reader: ClassVar[type[Reader]] = RidgeReader

    @classmethod
    def presets(cls, suite: str) -> Mapping[str, PlannerConfig]:
        """The same for every suite."""
        del suite
        return PRESETS

    def choose_settings(self, data: TrainingData) -> dict[str, Any]:
        """What the reader is made with: nothing."""
        del data
        return {}

    def train(self, data: TrainingData, run: TrainingRun) -> Policy:
        """There is nothing to train."""
        del run
        settings = self.choose_settings(data)
        return FittedModelPolicy(self.reader(**settings), self.config, data.spaces, settings)

    def load(self, folder: Path, spaces: Spaces) -> Policy:
        """Read back a saved policy; raises `DataError` if it is missing, damaged, or of other spaces."""
        return load_fitted_policy(self.reader, folder, spaces)


class GPModel(RidgeModel):
    """Plans in a Gaussian process of changes and reward, fitted to the support or the episode so far."""

    name = "gp-model"
    version: ClassVar[int] = 4
    reader: ClassVar[type[Reader]] = GaussianProcessReader

    @classmethod
    def presets(cls, suite: str) -> Mapping[str, PlannerConfig]:
        """Where queries cost most, plans are acted for longer."""
        return fit_to_budget(PRESETS, suite)


class KernelModel(RidgeModel):
    """Plans in the kernel regressions that `oswm-plus` starts from: `oswm-plus` without its transformer."""

    name = "kernel-model"
    version: ClassVar[int] = 4
    reader: ClassVar[type[Reader]] = KernelReader

    @classmethod
    def presets(cls, suite: str) -> Mapping[str, PlannerConfig]:
        """As much context as `oswm-plus` reads; it is cheaper to ask, so it draws more plans."""
        return fit_to_budget(KERNEL_PRESETS, suite, contexts=KERNEL_CONTEXTS)

    def choose_settings(self, data: TrainingData) -> dict[str, Any]:
        """Which observations the training data can tell of at all: all that it uses of these data."""
        seen = data.columns.observations
        varied = seen.max(0) - seen.min(0) > CONSTANT
        return {"varied": varied.tolist()}
