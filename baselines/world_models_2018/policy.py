"""Acting by a linear controller on the observation and what the model has read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from metabench import Array, Spaces, Step

from ..common.world_models.mdn_rnn.model import MdnRnnModel
from ..common.world_models.mdn_rnn.networks import MdnRnn
from ..common.world_models.policy import WorldModelPolicy
from ..common.world_models.saving import load_trained, save_trained
from .config import WorldModels2018Config
from .controller import Controllers
from .dream import count_inputs, describe_state
from .train import Trained


class WorldModels2018Policy(WorldModelPolicy):
    """The model reads support and episode; the controller acts on its hidden state."""

    def __init__(self, trained: Trained, config: WorldModels2018Config, spaces: Spaces) -> None:
        """Wrap what was trained."""
        self._trained, self._config = trained, config
        super().__init__(MdnRnnModel(trained.network), spaces)
        numbers = torch.as_tensor(trained.numbers)[None]
        inputs = count_inputs(config, spaces.observation_dim)
        self._controller = Controllers.from_numbers(numbers, inputs, spaces)

    @torch.no_grad()
    def act(self, step: Step) -> Array:
        """The controller's action."""
        state = self.model.imagine_from(self._memory, self._look(step))
        seen = describe_state(self._trained.network, state, self._config)
        return self._spaces.actions_from_features(self._controller.score(seen)[0].numpy())

    def parameter_count(self) -> int:
        """Of model and controller."""
        return super().parameter_count() + len(self._trained.numbers)

    def save(self, folder: Path) -> None:
        """Write network, controller, configuration and spaces."""
        network, numbers = self._trained.network, self._trained.numbers
        save_trained(network, self._config, self._spaces, folder, controller=numbers)


def load_world_models_2018(folder: Path, spaces: Spaces, name: str) -> WorldModels2018Policy:
    """Read what `WorldModels2018Policy.save` wrote; raises `DataError` as `load_trained` does."""
    return load_trained(folder, spaces, WorldModels2018Config, name, _build)[0]


def _build(
    spaces: Spaces, config: WorldModels2018Config, state: Mapping[str, Any]
) -> WorldModels2018Policy:
    network = MdnRnn(spaces, config)
    network.load_state_dict(state["networks"])
    return WorldModels2018Policy(Trained(network, state["controller"]), config, spaces)
