"""combo: what its conservative loss is, and what it does to values outside the data."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from metabench_baselines.combo.config import ComboConfig
from metabench_baselines.combo.objective import conservative_loss
from metabench_baselines.common.actor_critic.learner import Learner
from metabench_baselines.common.actor_critic.losses import Transitions
from metabench_baselines.common.actor_critic.networks import ActorCritic

from metabench import Spaces

LINE = Spaces(observation_dim=1, horizon=10, action_low=(-1.0,), action_high=(1.0,))
CHOICE = Spaces(observation_dim=1, horizon=10, num_actions=3)


def make_transitions(spaces, count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    state = torch.rand(count, 1, generator=generator)
    if spaces.discrete:
        action = torch.eye(3)[torch.randint(3, (count,), generator=generator)]
    else:
        action = 2 * torch.rand(count, 1, generator=generator) - 1
    return Transitions(state, action, state[:, 0], state + 0.1, torch.ones(count))


def make_networks(spaces, **settings):
    torch.manual_seed(0)
    config = ComboConfig(actor_width=16, **settings)
    return ActorCritic(1, spaces, config), config


@pytest.mark.parametrize("states", ["imagined", "mixed"])
def test_the_loss_of_discrete_actions_is_that_of_a_plain_loop(states):
    networks, config = make_networks(CHOICE, conservatism=0.7, conservative_states=states)
    networks.requires_grad_(False)
    logged, imagined = make_transitions(CHOICE, 5), make_transitions(CHOICE, 4, seed=1)
    loss, info = conservative_loss(networks, logged, imagined, config)
    held = [*imagined.state, *(logged.state if states == "mixed" else [])]
    gaps = []
    for member in range(2):
        best = [
            math.log(
                sum(math.exp(float(networks.critic(state[None], action[None])[member])) for action in torch.eye(3))
            )
            for state in held
        ]
        known = [
            float(networks.critic(state[None], action[None])[member])
            for state, action in zip(logged.state, logged.action, strict=True)
        ]
        gaps.append(np.mean(best) - np.mean(known))
    assert float(loss) == pytest.approx(0.7 * sum(gaps), abs=1e-5)
    assert float(info["conservative_gap"]) == pytest.approx(np.mean(gaps), abs=1e-5)


def test_the_loss_of_continuous_actions_estimates_the_integral():
    networks, config = make_networks(LINE, conservatism=1.0, action_samples=20_000)
    networks.requires_grad_(False)
    logged, imagined = make_transitions(LINE, 5), make_transitions(LINE, 3, seed=1)
    loss, _ = conservative_loss(networks, logged, imagined, config)
    grid = torch.linspace(-1, 1, 2001)[:, None]
    best = []
    for state in imagined.state:
        values = networks.critic(state.expand(len(grid), 1), grid).double()
        best.append(torch.trapezoid(values.exp(), dx=1e-3).log())
    exact = (torch.stack(best, 1).mean(1) - networks.critic(logged.state, logged.action).mean(1)).sum()
    assert float(loss) == pytest.approx(float(exact), abs=0.02)


def test_the_actor_learns_nothing_of_the_loss():
    for spaces in (LINE, CHOICE):
        networks, config = make_networks(spaces)
        loss, _ = conservative_loss(networks, make_transitions(spaces, 5), make_transitions(spaces, 5, 1), config)
        loss.backward()
        assert all(each.grad is None for each in networks.actor.parameters())
        assert any(each.grad.abs().sum() > 0 for each in networks.critic.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("conservatism", [0.0, 5.0])
def test_values_outside_the_data_are_held_down(conservatism):
    """Logged are actions below 0; an imagined step pays above 0, where nothing was ever seen."""
    networks, config = make_networks(LINE, conservatism=conservatism, actor_learning_rate=3e-3, discount=0.5)
    learner = Learner(networks, config)
    for update in range(1, 200):
        state, action = torch.rand(64, 1), 2 * torch.rand(64, 1) - 1
        ends = torch.zeros(64)
        logged = Transitions(state, -action.abs(), torch.zeros(64), state, ends)
        imagined = Transitions(state, action, action[:, 0].clamp(min=0), state, ends)
        loss, _ = conservative_loss(networks, logged, imagined, config)
        both = Transitions(
            **{name: torch.cat([value, getattr(imagined, name)]) for name, value in vars(logged).items()}
        )
        learner.update(both, update, beside=loss)
    acted = networks.actor(torch.rand(32, 1)).mean()
    assert acted > 0.3 if conservatism == 0 else acted < 0


def test_other_backbones_are_refused_in_one_line():
    with pytest.raises(ValueError, match="backbone: expected sac, found iql; mopo takes others"):
        ComboConfig(backbone="iql")
