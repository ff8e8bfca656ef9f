"""Acting by the actor, told the code that the ensemble's reading finds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from metabench import Array, DataError, Spaces, Step, load_state, save_state

from ..common.actor_critic.networks import ActorCritic
from ..common.world_models.config import ContextEnsembleConfig
from ..common.world_models.policy import (
    WorldModelPolicy,
    load_ensemble,
    make_model,
    save_ensemble,
)
from .config import MopoConfig, MopoContextConfig
from .imagination import describe_state
from .train import Trained, make_networks

NETWORKS = "networks"
"""The file beside the ensemble's."""


class MopoPolicy(WorldModelPolicy):
    """Acts the actor's mean or most likely action."""

    def __init__(
        self, trained: Trained, config: MopoConfig | MopoContextConfig, spaces: Spaces
    ) -> None:
        """Wrap trained networks."""
        self._trained, self._config = trained, config
        self._ensemble = trained.ensemble
        self._model = make_model(trained.ensemble)
        super().__init__(self._model, spaces)
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
        save_ensemble(self._ensemble, self._config, self._spaces, folder)
        save_state(dict(self._trained.networks.state_dict()), folder / NETWORKS)


def load_mopo(folder: Path, spaces: Spaces, config_class: type[Any], name: str) -> MopoPolicy:
    """Read what `MopoPolicy.save` wrote; raises `DataError` as `load_ensemble` does."""
    ensemble, config = load_ensemble(folder, spaces, config_class, name)
    networks: ActorCritic = make_networks(ensemble, config)
    try:
        networks.load_state_dict(load_state(folder / NETWORKS))
    except (RuntimeError, TypeError) as error:
        problem = " ".join(str(error).split())
        raise DataError(f"{folder}: not a policy of {name}: {problem}") from error
    return MopoPolicy(Trained(ensemble, networks.eval()), config, spaces)
