"""Steps on a support: advantage-weighted regression, of a few parameters, group by group."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..common.actor_critic.losses import compare_actions
from .config import MacawLiteConfig
from .model import Fast, FilmNetwork


@dataclass(frozen=True)
class Transitions:
    """N transitions of each of G groups.

    Attributes:
        observations: `(G, N, observation_dim)`.
        timesteps: `(G, N)` int64.
        actions: `(G, N, action_dim)` features.
        returns: `(G, N)` sums of this and all later rewards of the episode, in deviations of a reward.
    """

    observations: Tensor
    timesteps: Tensor
    actions: Tensor
    returns: Tensor


class InnerRates(nn.Module):
    """The size of a step for each adapted tensor; always above 0, and learned by the outer loop."""

    def __init__(self, network: FilmNetwork, rate: float) -> None:
        """Begin with `rate` for all."""
        super().__init__()
        start = torch.tensor(rate).expm1().log()  # what softplus makes `rate` of
        self.raw = nn.ParameterDict({name: start.clone() for name in network.initial})

    def of(self, name: str) -> Tensor:
        """The size of a step of one tensor."""
        return functional.softplus(self.raw[name])


def adapt(
    network: FilmNetwork, rates: InnerRates, support: Transitions, config: MacawLiteConfig
) -> tuple[Fast, list[Tensor]]:
    """Take the steps, each group its own.

    Gradients flow through them where the caller takes any.

    Returns:
        What is adapted, after the steps; and the loss of each group before each step, `(G,)`.
    """
    fast = network.start(len(support.observations))
    weights = weigh_actions(network, support, config)
    losses = []
    outer = torch.is_grad_enabled()
    with torch.enable_grad():
        if not outer:
            fast = {name: value.detach().requires_grad_() for name, value in fast.items()}
        for _ in range(config.gradient_steps):
            loss = measure_loss(network, support, weights, fast)
            gradients = torch.autograd.grad(loss.sum(), list(fast.values()), create_graph=outer)
            fast = {
                name: value - rates.of(name) * gradient
                for (name, value), gradient in zip(fast.items(), gradients, strict=True)
            }
            losses.append(loss)
    return fast, losses


def measure_loss(
    network: FilmNetwork, transitions: Transitions, weights: Tensor, fast: Fast
) -> Tensor:
    """Weighted error of the logged actions, `(G,)`: squares of coordinates, or cross-entropy."""
    acted = network(transitions.observations, transitions.timesteps, fast)
    error = compare_actions(
        acted.flatten(0, 1), transitions.actions.flatten(0, 1), discrete=network.discrete
    )
    return (weights * error.view_as(weights)).mean(-1)


@torch.no_grad()
def weigh_actions(
    network: FilmNetwork, transitions: Transitions, config: MacawLiteConfig
) -> Tensor:
    """Weights `(G, N)` of mean 1: exponentials of advantages over the regressed return of the state (MACAW, eq. 3).

    The regression sees the features of the network before any step.
    """
    if config.advantage_weight == 0:
        return torch.ones_like(transitions.returns)
    fast = network.start(len(transitions.observations))
    features = network.find_features(transitions.observations, transitions.timesteps, fast)
    advantages = transitions.returns - regress(features, transitions.returns, config.ridge)
    deviation = advantages.std(-1, keepdim=True, unbiased=False).clamp(min=1e-6)
    scaled = (advantages - advantages.mean(-1, keepdim=True)) / deviation
    weights = (config.advantage_weight * scaled).exp().clamp(max=config.largest_weight)
    return weights / weights.mean(-1, keepdim=True)


def regress(features: Tensor, returns: Tensor, ridge: float) -> Tensor:
    """What `(G, N)` returns are expected to be by `(G, N, width)` features: ridge regression with a free constant."""
    count = features.shape[1]
    centre, mean = features.mean(1, keepdim=True), returns.mean(1, keepdim=True)
    centred = features - centre
    products = centred.transpose(1, 2) @ centred / count  # (G, width, width)
    penalty = ridge * torch.eye(features.shape[-1], device=features.device)
    target = centred.transpose(1, 2) @ (returns - mean).unsqueeze(-1) / count
    weights = torch.linalg.solve(products + penalty, target)
    expected: Tensor = (centred @ weights).squeeze(-1) + mean
    return expected
