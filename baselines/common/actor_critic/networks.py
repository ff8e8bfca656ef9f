"""Actor, twin critics and value: fully connected networks over features of the state."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from metabench import MethodError, Spaces

from .config import ActorCriticConfig

LOG_DEVIATIONS = (-5.0, 2.0)
"""Bounds of the logarithm of a stochastic actor's deviation."""


class TwinLinear(nn.Module):
    """Several linear layers of equal sizes side by side, as one product: twice as fast as one after another."""

    def __init__(self, members: int, inputs: int, outputs: int) -> None:
        """Begin as `nn.Linear` does."""
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(members, 1, outputs).uniform_(-bound, bound))

    def forward(self, inputs: Tensor) -> Tensor:
        """`(members, B, inputs)` to `(members, B, outputs)`."""
        return torch.baddbmm(self.bias, inputs, self.weight)


class TwinCritic(nn.Module):
    """Two values of an action in a state; the lower one is trusted, against overestimation."""

    def __init__(self, inputs: int, width: int, depth: int, members: int = 2) -> None:
        """Make the layers; `inputs` counts the features of state and action together."""
        super().__init__()
        sizes = [inputs, *[width] * depth, 1]
        self.layers = nn.ModuleList(
            TwinLinear(members, before, after) for before, after in itertools.pairwise(sizes)
        )
        self.members = members

    def forward(self, state: Tensor, action: Tensor) -> Tensor:
        """Both values, `(2, B)`, of `(B, action_dim)` action features in `(B, state_dim)` states."""
        hidden = torch.cat([state, action], dim=-1).expand(self.members, -1, -1)
        for layer in self.layers[:-1]:
            hidden = functional.relu(layer(hidden))
        values: Tensor = self.layers[-1](hidden)  # (2, B, 1)
        return values.squeeze(-1)


class Actor(nn.Module):
    """Action features from a state: coordinates in [-1, 1] with a deviation, or one logit an action."""

    def __init__(
        self, inputs: int, spaces: Spaces, width: int, depth: int, *, stochastic: bool
    ) -> None:
        """Make the layers; a stochastic actor has a deviation for each coordinate and state."""
        super().__init__()
        self.discrete = spaces.discrete
        self.stochastic = stochastic
        self.outputs = spaces.action_dim * (2 if stochastic else 1)
        self.layers = nn.Sequential(*make_layers(inputs, width, depth, self.outputs))

    def forward(self, state: Tensor) -> Tensor:
        """The action features that are acted, `(B, action_dim)`: tanh of the mean, or logits."""
        features: Tensor = self.layers(state)
        if self.discrete:
            return features
        return torch.tanh(features.chunk(2, dim=-1)[0] if self.stochastic else features)

    def sample(self, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """An action drawn from the tanh of a Gaussian.

        Returns:
            The action `(B, action_dim)`, the logarithm of its density `(B,)`, and a penalty `(B,)` that keeps mean and
            deviation of the Gaussian small.
        """
        mean, log_deviation = self.layers(state).chunk(2, dim=-1)
        log_deviation = log_deviation.clamp(*LOG_DEVIATIONS)
        noise = torch.randn_like(mean)
        before = mean + log_deviation.exp() * noise
        density = -0.5 * noise.square() - log_deviation - 0.5 * math.log(2 * math.pi)
        # log(1 - tanh(x)^2) in a form that does not cancel far from 0
        density = density - 2 * (math.log(2) - before - functional.softplus(-2 * before))
        return (
            torch.tanh(before),
            density.sum(-1),
            (mean.square() + log_deviation.square()).sum(-1),
        )


class ActorCritic(nn.Module):
    """All networks of a backbone; those that it does not learn with are not there."""

    def __init__(self, inputs: int, spaces: Spaces, config: ActorCriticConfig) -> None:
        """Make them for `inputs` features of a state.

        Raises:
            MethodError: the backbone cannot take discrete actions.
        """
        super().__init__()
        backbone, width, depth = config.backbone, config.actor_width, config.actor_depth
        if spaces.discrete and backbone in ("td3bc", "brac"):
            raise MethodError(f"backbone={backbone} takes continuous actions; expected iql or bc")
        self.actor = Actor(
            inputs,
            spaces,
            width,
            depth,
            stochastic=backbone in ("brac", "sac") and not spaces.discrete,
        )
        if backbone == "bc":
            return
        self.critic = TwinCritic(inputs + spaces.action_dim, width, depth)
        self.target_critic = freeze(copy.deepcopy(self.critic))
        if backbone in ("iql", "brac"):
            self.value = nn.Sequential(*make_layers(inputs, width, depth, 1))
        if backbone == "brac":
            self.target_value = freeze(copy.deepcopy(self.value))
            self.divergence = nn.Sequential(
                *make_layers(inputs + spaces.action_dim, width, depth, 1)
            )
            self.register_buffer("divergence_weight", torch.tensor(config.divergence_weight))
        if backbone == "sac":
            self.log_temperature = nn.Parameter(torch.zeros(()))
        if backbone == "td3bc":
            self.target_actor = freeze(copy.deepcopy(self.actor))

    def list_targets(self) -> Iterator[tuple[nn.Module, nn.Module]]:
        """Each network that is followed, and its target."""
        for name, target in self.named_children():
            if name.startswith("target_"):
                yield self.get_submodule(name.removeprefix("target_")), target

    @torch.no_grad()
    def move_targets(self, rate: float) -> None:
        """Move every target a share `rate` of the way towards its network."""
        for network, target in self.list_targets():
            torch._foreach_lerp_(list(target.parameters()), list(network.parameters()), rate)


def make_layers(inputs: int, width: int, depth: int, outputs: int) -> Iterator[nn.Module]:
    """Linear layers with ReLU between them."""
    for _ in range(depth):
        yield nn.Linear(inputs, width)
        yield nn.ReLU()
        inputs = width
    yield nn.Linear(inputs, outputs)


def freeze(network: nn.Module) -> nn.Module:
    """The same network, of which no gradient is taken."""
    return network.requires_grad_(False)
