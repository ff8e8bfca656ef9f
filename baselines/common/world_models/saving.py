"""Writing what a policy was trained to be, and reading it back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from metabench import Config, DataError, Spaces, load_state, save_state

from .ensemble import Ensemble

FILE = "policy"

Built = TypeVar("Built")


def save_trained(
    networks: nn.Module, config: Config, spaces: Spaces, folder: Path, **more: Any
) -> None:
    """Write networks, configuration and spaces, and what else there is.

    A model backward in time was for training alone.
    """
    state = {
        "networks": {
            name: value
            for name, value in networks.state_dict().items()
            if not name.startswith("backward_members")
        },
        "config": config.model_dump(mode="json"),
        "spaces": asdict(spaces),
        **more,
    }
    save_state(state, folder / FILE)


def load_trained(
    folder: Path,
    spaces: Spaces,
    config_class: type[Any],
    name: str,
    build: Callable[[Spaces, Any, Mapping[str, Any]], Built],
) -> tuple[Built, Any]:
    """What `build` makes of spaces, configuration and all that `save_trained` wrote; and the configuration.

    Raises:
        DataError: it is missing, damaged, of no policy of method `name`, or of other spaces.
    """
    state = load_state(folder / FILE)
    try:
        config, saved = config_class.model_validate(state["config"]), Spaces(**state["spaces"])
        built = build(saved, config, state)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        problem = " ".join(str(error).split())
        raise DataError(f"{folder}: not a policy of {name}: {problem}") from error
    if saved != spaces:
        raise DataError(f"{folder}: a policy for {saved}, expected {spaces}")
    return built, config


def load_ensemble(
    folder: Path, spaces: Spaces, config_class: type[Any], name: str
) -> tuple[Ensemble, Any]:
    """An ensemble and its configuration; raises `DataError` as `load_trained` does."""
    return load_trained(folder, spaces, config_class, name, _build_ensemble)


def _build_ensemble(spaces: Spaces, config: Any, state: Mapping[str, Any]) -> Ensemble:
    ensemble = Ensemble(spaces, config)
    ensemble.backward_members = None
    ensemble.set_tasks(len(state["networks"]["task_codes"]))
    ensemble.load_state_dict(state["networks"])
    return ensemble.eval()
