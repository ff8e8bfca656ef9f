"""Acting by the actor, told what the model's reading finds of the task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from metabench import Array, DataError, Spaces, Step, load_state, save_state

from ...actor_critic.networks import ActorCritic
from ..config import ContextEnsembleConfig
from ..contract import TellingModel
from ..policy import WorldModelPolicy
from ..saving import save_trained
from .config import DynaConfig, DynaContextConfig
from .imagination import describe_state
from .train import Trained

NETWORKS = "networks"
"""The file beside the ensemble's."""


class DynaPolicy(WorldModelPolicy):
    """Acts the actor's mean or most likely action."""

    def __init__(
        self,
        trained: Trained,
        model: TellingModel,
        config: DynaConfig | DynaContextConfig,
        spaces: Spaces,
    ) -> None:
        """Wrap trained networks; the model is the trained ensemble's."""
        self._trained, self._config, self._model = trained, config, model
        self._ensemble = trained.ensemble
        super().__init__(model, spaces)
        self._explores = isinstance(config, ContextEnsembleConfig) and config.drawn_exploration

    def reset(self, groups: Sequence[int], seeds: Sequence[int]) -> None:
        """Forget everything."""
        super().reset(groups, seeds)
        generators = [torch.Generator().manual_seed(seed % 2**63) for seed in seeds]
        self._draws = torch.stack([torch.rand((), generator=each) for each in generators])

    @torch.no_grad()
    def act(self, step: Step) -> Array:
        """What the actor does, told the expected code; in support episodes, a drawn one."""
        now = self._look(step)
        draws = None if step.scored.all() or not self._explores else self._draws
        codes = self._model.find_codes(self._memory, draws)
        state = describe_state(self._ensemble, now, torch.from_numpy(step.timestep), codes)
        features = self._trained.networks.actor(state)
        return self._spaces.actions_from_features(features.numpy())

    def parameter_count(self) -> int:
        """Of actor, encoder and, where codes are read by it, the ensemble."""
        actor = sum(each.numel() for each in self._trained.networks.actor.parameters())
        return super().parameter_count() + actor

    def save(self, folder: Path) -> None:
        """Write networks, configuration and spaces."""
        save_trained(self._ensemble, self._config, self._spaces, folder)
        save_state(dict(self._trained.networks.state_dict()), folder / NETWORKS)


def load_networks(networks: ActorCritic, folder: Path, name: str) -> ActorCritic:
    """Put what `DynaPolicy.save` wrote into networks of method `name`.

    Raises:
        DataError: it is missing, damaged, or of other networks.
    """
    try:
        networks.load_state_dict(load_state(folder / NETWORKS))
    except (RuntimeError, TypeError) as error:
        problem = " ".join(str(error).split())
        raise DataError(f"{folder}: not a policy of {name}: {problem}") from error
    return networks.eval()
