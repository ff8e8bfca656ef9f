"""TWM as published, on logged data: the paper's losses, policy input and sampling, and nothing that twm-plus adds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from metabench import Config, Method, Policy, Spaces, TrainingData, TrainingRun

from ..twm_plus.inspect.diagnostics import diagnose
from ..twm_plus.policy import TWMPolicy, load_twm_policy
from .config import TWMPublishedConfig
from .presets import PRESETS, VARIANTS
from .train import make_learner, train_everything


class TWMPublished(Method):
    """The transformer world model of Robine et al. (ICLR 2023) as published, fitted to logged data of all tasks.

    Its actor sees the latent of the present observation alone: it knows no task, and learns nothing from support.
    """

    name: ClassVar[str] = "twm-published"
    paper: ClassVar[str | None] = "https://arxiv.org/abs/2303.07109"
    predicts: ClassVar[bool] = True
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = VARIANTS
    config_class: ClassVar[type[Config]] = TWMPublishedConfig
    config: TWMPublishedConfig

    @classmethod
    def presets(cls, suite: str) -> Mapping[str, Config]:
        """The same budgets for every suite."""
        del suite
        return PRESETS

    def train(self, data: TrainingData, run: TrainingRun) -> Policy:
        """Pretrain, then update world model, critic and actor together; adds diagnostics to the summary.

        Raises:
            DataError: rewards overflow, or there are fewer steps than a sequence has.
        """
        learner = make_learner(self.config, data.fitting, data.spaces, run)
        train_everything(learner, run)
        model, policy, shared = learner.model, learner.policy, learner.shared
        if data.validation.num_episodes:
            run.summary.update(diagnose(shared, model, policy, data.validation, run))
        return TWMPolicy(shared, model, policy, data.spaces)

    def load(self, folder: Path, spaces: Spaces) -> Policy:
        """Read back a saved policy; raises `DataError` if it is missing, damaged, or of other spaces."""
        return load_twm_policy(folder, spaces)
