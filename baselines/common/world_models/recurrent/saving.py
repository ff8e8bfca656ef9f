"""Reading a trained recurrent model back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metabench import Spaces

from ..saving import load_trained
from .network import RecurrentStateSpace


def load_recurrent(
    folder: Path, spaces: Spaces, config_class: type[Any], name: str
) -> tuple[RecurrentStateSpace, Any]:
    """The model and its configuration; raises `DataError` as `load_trained` does."""
    return load_trained(folder, spaces, config_class, name, _build)


def _build(spaces: Spaces, config: Any, state: Mapping[str, Any]) -> RecurrentStateSpace:
    network = RecurrentStateSpace(spaces, config)
    network.load_state_dict(state["networks"])
    return network.eval()
