"""Writing a trained recurrent model, and reading it back."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from metabench import Config, DataError, Spaces, load_state, save_state

from .network import RecurrentStateSpace

FILE = "model"


def save_recurrent(
    network: RecurrentStateSpace, config: Config, spaces: Spaces, folder: Path
) -> None:
    """Write networks, configuration and spaces."""
    state = {
        "networks": dict(network.state_dict()),
        "config": config.model_dump(mode="json"),
        "spaces": asdict(spaces),
    }
    save_state(state, folder / FILE)


def load_recurrent(
    folder: Path, spaces: Spaces, config_class: type[Any], name: str
) -> tuple[RecurrentStateSpace, Any]:
    """The model and the configuration that `save_recurrent` wrote.

    Raises:
        DataError: they are missing, damaged, of no policy of method `name`, or of other spaces.
    """
    state = load_state(folder / FILE)
    try:
        config, saved = config_class.model_validate(state["config"]), Spaces(**state["spaces"])
        network = RecurrentStateSpace(saved, config)
        network.load_state_dict(state["networks"])
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        problem = " ".join(str(error).split())
        raise DataError(f"{folder}: not a policy of {name}: {problem}") from error
    if saved != spaces:
        raise DataError(f"{folder}: a policy for {saved}, expected {spaces}")
    return network.eval(), config
