"""Acting by a linear controller on the observation and what the model has read."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch

from metabench import Array, DataError, Spaces, Step, load_state, save_state

from ..common.world_models.mdn_rnn.model import MdnRnnModel
from ..common.world_models.mdn_rnn.networks import MdnRnn
from ..common.world_models.policy import FILE, WorldModelPolicy
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
        state = {
            "network": dict(self._trained.network.state_dict()),
            "controller": self._trained.numbers,
            "config": self._config.model_dump(mode="json"),
            "spaces": asdict(self._spaces),
        }
        save_state(state, folder / FILE)


def load_world_models_2018(folder: Path, spaces: Spaces, name: str) -> WorldModels2018Policy:
    """Read what `WorldModels2018Policy.save` wrote.

    Raises:
        DataError: it is missing, damaged, of no policy of method `name`, or of other spaces.
    """
    state = load_state(folder / FILE)
    try:
        config = WorldModels2018Config.model_validate(state["config"])
        saved = Spaces(**state["spaces"])
        network = MdnRnn(saved, config)
        network.load_state_dict(state["network"])
        policy = WorldModels2018Policy(Trained(network, state["controller"]), config, saved)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        problem = " ".join(str(error).split())
        raise DataError(f"{folder}: not a policy of {name}: {problem}") from error
    if saved != spaces:
        raise DataError(f"{folder}: a policy for {saved}, expected {spaces}")
    return policy
