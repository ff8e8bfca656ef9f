"""Policies on disk: networks, scales, configuration and spaces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch

from metabench import DataError, Spaces, load_state, save_state

from .config import TransformerConfig
from .train import Scales

ConfigT = TypeVar("ConfigT", bound=TransformerConfig)

FOLDER = "policy"


def save_networks(
    folder: Path,
    config: TransformerConfig,
    spaces: Spaces,
    scales: Scales,
    modules: Mapping[str, torch.nn.Module],
) -> None:
    """Write all that `load_settings` and `load_networks` read."""
    state = {
        "config": config.model_dump(mode="json"),
        "spaces": asdict(spaces),
        "scales": asdict(scales),
        "networks": {name: dict(module.state_dict()) for name, module in modules.items()},
    }
    save_state(state, folder / FOLDER)


def load_settings(
    folder: Path, spaces: Spaces, config_class: type[ConfigT]
) -> tuple[ConfigT, Scales, dict[str, Mapping[str, Any]]]:
    """Configuration, scales and weights by network; raises `DataError` if missing, damaged, or of other spaces."""
    state = load_state(folder / FOLDER)
    try:
        config = config_class.model_validate(state["config"])
        saved, scales, weights = (
            Spaces(**state["spaces"]),
            Scales(**state["scales"]),
            dict(state["networks"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{folder}: not a policy of this method: {' '.join(str(error).split())}"
        ) from error
    if saved != spaces:
        raise DataError(f"{folder}: a policy for {saved}, expected {spaces}")
    return config, scales, weights


def load_networks(
    folder: Path, weights: Mapping[str, Mapping[str, Any]], modules: Mapping[str, torch.nn.Module]
) -> None:
    """Put weights into networks of the same names; raises `DataError` where they do not fit."""
    try:
        for name, module in modules.items():
            module.load_state_dict(weights[name])
    except (KeyError, RuntimeError) as error:
        raise DataError(
            f"{folder}: weights do not fit: {' '.join(str(error).split()):.200}"
        ) from error


def count_trained_parameters(modules: Mapping[str, torch.nn.Module]) -> int:
    """Number of weights that training changes."""
    return sum(
        p.numel() for module in modules.values() for p in module.parameters() if p.requires_grad
    )
