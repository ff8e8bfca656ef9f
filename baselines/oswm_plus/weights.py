"""World models on disk: those that `metabench pretrain oswm-plus` writes, one of which is shipped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from metabench import DataError, Spaces, load_state

from .config import ModelConfig, PretrainingConfig
from .model import OSWMWorldModel
from .reader import OSWMReader

SHIPPED = Path(__file__).parent / "weights"
"""What `metabench pretrain oswm-plus --preset cpu` wrote, seed 0."""


def pack_state(model: OSWMWorldModel) -> dict[str, Any]:
    """Weights in half precision: half the size, and predictions that differ by less than they err."""
    state = model.state_dict()
    return {
        "network": {
            name: value if name == "bars.borders" else value.half() for name, value in state.items()
        }
    }


def load_model(weights: str) -> OSWMWorldModel:
    """The world model of a configuration; raises `DataError` if its folder is missing or damaged, or holds another."""
    folder = SHIPPED if weights == "shipped" else Path(weights)
    state = load_state(folder)
    try:
        model = build_model(
            PretrainingConfig.model_validate(state["config"]).model, state["network"]
        )
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise DataError(
            f"{folder}: not weights of oswm-plus: {' '.join(str(error).split()):.200}"
        ) from error
    return model.eval()


def read_pretraining_seconds(weights: str) -> float | None:
    """How long the pretraining took; None for weights from before it was noted, such as the shipped ones."""
    seconds = load_state(SHIPPED if weights == "shipped" else Path(weights)).get("seconds")
    return None if seconds is None else float(seconds)


def build_model(config: ModelConfig, network: Mapping[str, Any]) -> OSWMWorldModel:
    """A model with these weights, in single precision."""
    with torch.random.fork_rng(devices=[]):  # the initial weights are replaced at once
        model = OSWMWorldModel(config)
    model.load_state_dict({name: value.float() for name, value in network.items()})
    return model


def load_reader(spaces: Spaces, weights: str = "shipped") -> OSWMReader:
    """The pretrained world model for tasks of these spaces; raises `MetabenchError` if they are too wide for it."""
    return OSWMReader(load_model(weights), spaces)
