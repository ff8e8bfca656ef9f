"""The network: the transformer's outputs are states, and the heads of an actor-critic read them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from metabench import Array, Spaces, TrainingData

from ..common.actor_critic.losses import (
    Transitions,
    imitation_loss,
    implicit_critic_loss,
    implicit_value_loss,
    weighted_imitation_loss,
)
from ..common.actor_critic.networks import ActorCritic
from ..common.in_context.config import InContextConfig
from ..common.in_context.transitions import TransitionNetwork
from ..meta_dt.world_model import WorldModel
from .config import ICIQLConfig, SICQLConfig
from .contexts import Trials


class ICIQLNetwork(TransitionNetwork):
    """Acts in a state, and values what was done there, by what the context tells of the task."""

    def __init__(self, config: ICIQLConfig, spaces: Spaces, features: int | None = None) -> None:
        """Make the network; `features` of a transition in the context, None for the transition itself."""
        self._heads_config = config.heads_config
        super().__init__(config, spaces, 2 * config.queries, features)

    def add_heads(self, config: InContextConfig) -> None:
        """Policy, values, twin critics and their targets."""
        self.actor_critic = ActorCritic(config.width, self.spaces, self._heads_config)
        # Of discounted returns in training data: values of deviation 1 leave the policy its share of the transformer.
        self.register_buffer("value_scale", torch.ones(()))

    def fit_scales(self, data: TrainingData) -> None:
        """Take the scales of `data`, that of values among them."""
        super().fit_scales(data)
        deviation = float(measure_returns(data, self._heads_config.discount).std())
        self.get_buffer("value_scale").fill_(deviation if deviation > 0 else 1.0)

    def read(self, hidden: Tensor) -> Tensor:
        """Action features of outputs `(..., W)`: within (-1, 1), or one logit a discrete action."""
        output: Tensor = self.actor_critic.actor(hidden)
        return output

    def embed(self, contexts: Trials) -> Tensor:
        """Tokens `(B, N + 2R, W)`."""
        states = torch.cat([contexts.states, contexts.next_states], dim=1)
        tokens = [self.embed_seen(contexts.seen), self.embed_queries(states)]
        return torch.cat(tokens, dim=1)[:, contexts.order]

    def gather_states(self, contexts: Trials) -> Transitions:
        """The batch for temporal differences, `B * R` transitions whose states are outputs of the transformer.

        Those after an action are for targets alone, and have no gradient.
        """
        assert contexts.places is not None
        places = torch.cat([contexts.places, contexts.next_places])
        hidden = self.transformer(self.embed(contexts), contexts.memory, places)
        before, after = hidden.chunk(2, dim=1)  # (B, R, W) each
        return Transitions(
            before.flatten(0, 1),
            contexts.labels.flatten(0, 1),
            contexts.rewards.flatten() / self.get_buffer("value_scale"),
            after.detach().flatten(0, 1),
            contexts.continues.flatten(),
        )

    def compute_loss(self, contexts: Trials) -> tuple[Tensor, dict[str, Tensor]]:
        """The three losses of implicit Q-learning, added: all of them train the transformer."""
        networks, config = self.actor_critic, self._heads_config
        batch = self.gather_states(contexts)
        if config.backbone == "bc":
            return imitation_loss(networks, batch)
        value_loss, advantage, info = implicit_value_loss(networks, batch, config)
        critic_loss, more = implicit_critic_loss(networks, batch, config)
        actor_loss, last = weighted_imitation_loss(networks, batch, advantage, config)
        return value_loss + critic_loss + actor_loss, info | more | last

    def finish_update(self) -> None:
        """Target critics follow."""
        self.actor_critic.move_targets(self._heads_config.target_rate)


def measure_returns(data: TrainingData, discount: float) -> Array:
    """Discounted sums `(num_transitions,)` of each reward and those after it in its episode."""
    returns = np.array(data.columns.rewards, np.float64)
    ends = data.columns.offsets[1:]
    for back in range(1, int(data.lengths.max())):
        steps = ends[data.lengths > back] - 1 - back
        returns[steps] += discount * returns[steps + 1]
    return returns


class SICQLNetwork(ICIQLNetwork):
    """The same, of a context of codes; it keeps the world model that they come from."""

    def __init__(self, config: SICQLConfig, spaces: Spaces) -> None:
        """Make the network and an untrained world model."""
        super().__init__(config, spaces, config.code_dim)
        self.world_model = WorldModel(config.world_model_config, spaces)
