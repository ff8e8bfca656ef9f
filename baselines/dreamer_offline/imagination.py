"""Imagined transitions between the model's states: branches from logged steps, by the actor, less what is doubted."""

from __future__ import annotations

import torch
from torch import Tensor

from metabench import TrainingData, TrainingRun

from ..common.actor_critic.losses import Transitions
from ..common.actor_critic.networks import ActorCritic
from ..common.world_models.dyna.imagination import FIELDS, choose_actions
from ..common.world_models.recurrent.losses import Followed, follow
from ..common.world_models.recurrent.model import Imagined, RecurrentModel
from ..common.world_models.recurrent.network import RecurrentStateSpace
from ..common.world_models.recurrent.streams import Chunk, Streams
from .config import DreamerConfig


class Imagination:
    """Reads logged streams, and branches off them; its streams are a part of the checkpoint."""

    def __init__(
        self, network: RecurrentStateSpace, config: DreamerConfig, data: TrainingData
    ) -> None:
        """Begin at steps of `data`."""
        self._network, self._config = network, config
        self._model = RecurrentModel(network, draws=True)
        self.streams = Streams(network, data)
        self._pay = network.scales.get_buffer("reward")

    @torch.no_grad()
    def imagine(
        self, networks: ActorCritic, run: TrainingRun, update: int
    ) -> tuple[Transitions, Transitions]:
        """A round: the logged transitions that it begins at, and the imagined ones."""
        generator = run.generator("imagination", update)
        chunk = self.streams.draw(generator)
        followed = follow(self._network, chunk.tokens, self.streams.carried, draw=True)
        self.streams.keep(followed.last)
        real = self._list_logged(chunk, followed)
        timesteps = torch.as_tensor(chunk.timesteps, device=self._pay.device).flatten()
        horizon = self._network.spaces.horizon
        # Where a task ended the episode, or the horizon did, there is nothing to imagine.
        begins = torch.nonzero((timesteps < horizon) & ~chunk.tokens.ends.bool().flatten())[:, 0]
        chosen = torch.as_tensor(generator.permutation(len(begins))[: self._config.starts])
        begins = begins[chosen.to(begins.device)]
        state = Imagined(
            followed.carried.state.flatten(0, 1)[begins][None],
            followed.carried.latent.flatten(0, 1)[begins][None],
            torch.zeros(1, len(begins), dtype=torch.int64, device=begins.device),
        )
        return real, self._branch(networks, state, timesteps[begins])

    def _branch(self, networks: ActorCritic, state: Imagined, timesteps: Tensor) -> Transitions:
        """Imagined transitions of N branches, which begin at `(N,)` timesteps."""
        found = []
        for _ in range(self._config.steps):
            features = describe_state(state)
            actions = choose_actions(networks, features)
            told = self._model(state, actions[None])
            doubt = told.disagreement[0]
            reward = told.rewards[0] / self._pay - self._config.penalty * doubt
            ended = torch.rand_like(doubt) < told.ends[0]
            continues = 1.0 - ended.float()
            found.append(
                Transitions(features, actions, reward, describe_state(told.state), continues)
            )
            timesteps = timesteps + 1
            going = ~ended & (timesteps < self._network.spaces.horizon)
            timesteps = timesteps[going]
            state = Imagined(
                *(
                    each[:, going]
                    for each in (told.state.state, told.state.latent, told.state.steps)
                )
            )
        columns = {name: torch.cat([getattr(each, name) for each in found]) for name in FIELDS}
        return Transitions(**columns)

    def _list_logged(self, chunk: Chunk, followed: Followed) -> Transitions:
        """Logged transitions between the states that the model reads them as."""
        features = torch.cat([followed.carried.state, followed.carried.latent], -1)
        follows = ~chunk.tokens.first[:, 1:]
        return Transitions(
            features[:, :-1][follows],
            chunk.tokens.actions[:, 1:][follows],
            chunk.tokens.rewards[:, 1:][follows] / self._pay,
            features[:, 1:][follows],
            1.0 - chunk.tokens.ends[:, 1:][follows],
        )


def describe_state(state: Imagined) -> Tensor:
    """What actor and critics see of one group's N branches, `(N, state_dim + latent size)`."""
    return torch.cat([state.state[0], state.latent[0]], -1)
