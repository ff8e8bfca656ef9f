"""The policy: planning in the world model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from metabench import DataError, Picture, Spaces, TrainingData, load_state, save_state

from ..common.planning.learn_in_imagination import ImaginationPolicy
from .config import ModelConfig, OSWMConfig
from .pictures import draw_prediction_pictures
from .reader import OSWMReader
from .weights import build_model

FILE = "policy"


class OSWMPolicy(ImaginationPolicy):
    """Plans, or learns, in the world model, given the support or the episode so far."""

    def __init__(self, reader: OSWMReader, config: OSWMConfig, spaces: Spaces) -> None:
        """Act in tasks of these spaces."""
        super().__init__(reader, config, spaces, config.make_imagination_config())
        self._model, self._settings, self._saved_spaces = reader.model, config, spaces

    def pictures(self, data: TrainingData, generator: np.random.Generator) -> Sequence[Picture]:
        """Changes and rewards of a held-out episode, as predicted and as they were."""
        return draw_prediction_pictures(
            self.reader, self._saved_spaces, data, generator, self._settings.largest_context
        )

    def save(self, folder: Path) -> None:
        """Write configuration, spaces and weights."""
        state = {
            "config": self._settings.model_dump(mode="json"),
            "spaces": asdict(self._saved_spaces),
            "model": self._model.config.model_dump(mode="json"),
            "network": dict(self._model.state_dict()),
        }
        save_state(state, folder / FILE)


def load_oswm_policy(config_class: type[OSWMConfig], folder: Path, spaces: Spaces) -> OSWMPolicy:
    """Read what `OSWMPolicy.save` wrote; raises `DataError` if it is missing, damaged, or of other spaces."""
    state = load_state(folder / FILE)
    try:
        config, saved = config_class.model_validate(state["config"]), Spaces(**state["spaces"])
        model = build_model(ModelConfig.model_validate(state["model"]), state["network"])
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise DataError(
            f"{folder}: not a policy of oswm-plus: {' '.join(str(error).split()):.200}"
        ) from error
    if saved != spaces:
        raise DataError(f"{folder}: a policy for {saved}, expected {spaces}")
    return OSWMPolicy(OSWMReader(model.eval(), spaces), config, spaces)
