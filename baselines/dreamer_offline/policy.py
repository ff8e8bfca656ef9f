"""Acting by the actor, in the states that the model reads a lane as."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from metabench import Array, DataError, Spaces, Step, load_state, save_state

from ..common.world_models.policy import WorldModelPolicy
from ..common.world_models.recurrent.model import RecurrentModel
from ..common.world_models.recurrent.saving import load_recurrent
from ..common.world_models.saving import save_trained
from .config import DreamerConfig
from .imagination import describe_state
from .train import Trained, make_networks

NETWORKS = "networks"
"""The file beside the model's."""


class DreamerPolicy(WorldModelPolicy):
    """Acts the actor's mean or most likely action; in support episodes with noise."""

    def __init__(self, trained: Trained, config: DreamerConfig, spaces: Spaces) -> None:
        """Wrap trained networks."""
        super().__init__(RecurrentModel(trained.network), spaces)
        self._trained, self._config = trained, config

    def reset(self, groups: Sequence[int], seeds: Sequence[int]) -> None:
        """Forget everything."""
        super().reset(groups, seeds)
        self._noise = [torch.Generator().manual_seed(seed % 2**63) for seed in seeds]

    @torch.no_grad()
    def act(self, step: Step) -> Array:
        """What the actor does."""
        now = self._look(step)
        state = describe_state(self.model.imagine_from(self._memory, now))
        features = self._trained.networks.actor(state)
        if not step.scored.all() and self._config.exploration_noise:
            draws = torch.stack(
                [torch.rand(features.shape[1], generator=each) for each in self._noise]
            ).clamp(1e-6, 1.0 - 1e-6)
            if self._spaces.discrete:
                features = features - (-draws.log()).log()  # the largest is a draw from the actor
            else:
                normal = torch.special.ndtri(draws)
                features = features + self._config.exploration_noise * normal
        return self._spaces.actions_from_features(features.numpy())

    def parameter_count(self) -> int:
        """Of model and actor."""
        actor = sum(each.numel() for each in self._trained.networks.actor.parameters())
        return super().parameter_count() + actor

    def save(self, folder: Path) -> None:
        """Write networks, configuration and spaces."""
        save_trained(self._trained.network, self._config, self._spaces, folder)
        save_state(dict(self._trained.networks.state_dict()), folder / NETWORKS)


def load_dreamer(folder: Path, spaces: Spaces, name: str) -> DreamerPolicy:
    """Read what `DreamerPolicy.save` wrote; raises `DataError` as `load_recurrent` does."""
    network, config = load_recurrent(folder, spaces, DreamerConfig, name)
    networks = make_networks(network, config)
    try:
        networks.load_state_dict(load_state(folder / NETWORKS))
    except (RuntimeError, TypeError) as error:
        problem = " ".join(str(error).split())
        raise DataError(f"{folder}: not a policy of {name}: {problem}") from error
    return DreamerPolicy(Trained(network, networks.eval()), config, spaces)
