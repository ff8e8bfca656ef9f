"""The policy: planning in a fitted model. There is little to save but the configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from metabench import DataError, Spaces, load_state, save_state

from ..common.planning.config import PlannerConfig
from ..common.planning.learn_in_imagination import ImaginationPolicy
from ..common.planning.rows import Reader

FILE = "policy"


class FittedModelPolicy(ImaginationPolicy):
    """Plans, or learns, in a model that is fitted to the support, or to the episode so far."""

    def __init__(
        self,
        reader: Reader,
        config: PlannerConfig,
        spaces: Spaces,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Act in tasks of these spaces; `settings` is what the reader was made with."""
        super().__init__(reader, config, spaces, config.make_imagination_config())
        self._saved = {
            "config": config.model_dump(mode="json"),
            "spaces": asdict(spaces),
            "reader": dict(settings or {}),
        }

    def save(self, folder: Path) -> None:
        """Write configuration, spaces and the reader's settings."""
        save_state(self._saved, folder / FILE)


def load_fitted_policy(
    make_reader: Callable[..., Reader], folder: Path, spaces: Spaces
) -> FittedModelPolicy:
    """Read what `FittedModelPolicy.save` wrote; raises `DataError` if it is missing, damaged, or of other spaces."""
    state = load_state(folder / FILE)
    try:
        config, saved = PlannerConfig.model_validate(state["config"]), Spaces(**state["spaces"])
        settings = dict(state.get("reader", {}))
        reader = make_reader(**settings)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{folder}: not a policy of a fitted model: {' '.join(str(error).split())}"
        ) from error
    if saved != spaces:
        raise DataError(f"{folder}: a policy for {saved}, expected {spaces}")
    return FittedModelPolicy(reader, config, spaces, settings)
