"""The policy: planning in the world model, which is saved with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from metabench import DataError, Spaces, load_state, save_state

from ..common.planning.policy import PlanningPolicy
from .config import PublishedConfig, PublishedWorldModelConfig
from .model import PublishedWorldModel
from .reader import PublishedReader
from .released_checkpoint import load_released_checkpoint

FILE = "policy"


class PublishedPolicy(PlanningPolicy):
    """Plans in the world model, which reads the support, or the episode so far after its first random actions."""

    def __init__(self, model: PublishedWorldModel, config: PublishedConfig, spaces: Spaces) -> None:
        """Act in tasks of these spaces; raises `MetabenchError` if they are wider than the model."""
        super().__init__(PublishedReader(model, spaces), config, spaces)
        self._saved = {
            "config": config.model_dump(mode="json"),
            "spaces": asdict(spaces),
            "world_model": model.config.model_dump(mode="json"),
            "weights": dict(model.state_dict()),
        }

    def save(self, folder: Path) -> None:
        """Write configuration, spaces and the world model."""
        save_state(self._saved, folder / FILE)


def load_published_policy(folder: Path, spaces: Spaces) -> PublishedPolicy:
    """Read what `PublishedPolicy.save` wrote; raises `DataError` if it is missing, damaged, or of other spaces."""
    state = load_state(folder / FILE)
    try:
        config, saved = PublishedConfig.model_validate(state["config"]), Spaces(**state["spaces"])
        model = _build_model(state["world_model"], state["weights"])
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise DataError(
            f"{folder}: not a policy of oswm-published: {_word_error(error)}"
        ) from error
    if saved != spaces:
        raise DataError(f"{folder}: a policy for {saved}, expected {spaces}")
    return PublishedPolicy(model, config, spaces)


def load_published_weights(folder: Path, heads: int = 4) -> PublishedWorldModel:
    """Read what `metabench pretrain` wrote, or a file of the released code, which does not say how many `heads` it has.

    Raises:
        DataError: it is missing, damaged, or of another method.
    """
    if folder.is_file():
        return load_released_checkpoint(folder, heads)
    state = load_state(folder)
    try:
        return _build_model(state["config"], state["weights"])
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise DataError(f"{folder}: not weights of oswm-published: {_word_error(error)}") from error


def _build_model(config: Any, weights: Mapping[str, Tensor]) -> PublishedWorldModel:
    with torch.random.fork_rng(devices=[]):  # the initial weights are replaced at once
        model = PublishedWorldModel(PublishedWorldModelConfig.model_validate(config))
    model.load_state_dict(weights)
    return model.eval()


def _word_error(error: Exception) -> str:
    return f"{' '.join(str(error).split()):.200}"
