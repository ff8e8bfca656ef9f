"""mopo: soft actor-critic, what it imagines, and what doubt costs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from metabench_baselines.common.actor_critic.config import ActorCriticConfig
from metabench_baselines.common.actor_critic.learner import Learner
from metabench_baselines.common.actor_critic.losses import Transitions
from metabench_baselines.common.actor_critic.networks import ActorCritic
from metabench_baselines.common.world_models.dyna.imagination import Imagination, Store, measure_doubt
from metabench_baselines.common.world_models.dyna.train import make_networks
from metabench_baselines.common.world_models.ensemble import Ensemble
from metabench_baselines.mopo.config import MopoConfig

from metabench import Spaces, TrainingRun, load_data, load_method

LINE = Spaces(observation_dim=1, horizon=10, action_low=(-1.0,), action_high=(1.0,))
CHOICE = Spaces(observation_dim=1, horizon=10, num_actions=3)


def test_doubt_is_the_largest_norm_of_any_member():
    deviations = torch.tensor([[[3.0, 4.0], [1.0, 0.0]], [[0.0, 6.0], [0.0, 0.5]]])  # (members, B, outputs)
    assert measure_doubt(deviations).tolist() == [6.0, 1.0]


@pytest.mark.slow
@pytest.mark.parametrize("spaces", [LINE, CHOICE])
def test_soft_actor_critic_finds_the_paying_action(spaces):
    """A step pays the first action feature, or what the last of three actions is worth: both are at 1."""
    torch.manual_seed(0)
    config = ActorCriticConfig(backbone="sac", actor_width=32, actor_learning_rate=3e-3, discount=0.5)
    networks = ActorCritic(1, spaces, config)
    learner = Learner(networks, config)
    for update in range(1, 300):
        state = torch.rand(64, 1)
        if spaces.discrete:
            action = torch.eye(3)[torch.randint(3, (64,))]
            reward = action[:, 2]
        else:
            action = 2 * torch.rand(64, 1) - 1
            reward = action[:, 0]
        info = learner.update(Transitions(state, action, reward, state, torch.ones(64)), update)
    acted = networks.actor(torch.rand(16, 1))
    assert (acted.argmax(-1) == 2).all() if spaces.discrete else (acted > 0.5).all()
    assert info["temperature"] < 1.0  # there is more entropy than is aimed at


def test_the_store_forgets_the_oldest_round():
    store = Store(2)
    for number in range(4):
        column = torch.full((3, 1), float(number))
        store.add(Transitions(column, column, column[:, 0], column, column[:, 0]))
    drawn = store.draw(np.random.default_rng(0), 50)
    assert set(drawn.reward.tolist()) == {2.0, 3.0}
    again = Store(2)
    again.load_state_dict(store.state_dict())
    assert torch.equal(again.draw(np.random.default_rng(0), 50).state, drawn.state)


def test_branches_stop_where_the_horizon_does_and_doubt_is_taken_off(tiny_built):
    data = load_data("tiny", "medium").to("cpu")
    found = {}
    for penalty in (0.0, 2.0):
        config = MopoConfig(width=8, starts=64, steps=4 * data.spaces.horizon, penalty=penalty)
        torch.manual_seed(0)
        ensemble = Ensemble(data.spaces, config)
        ensemble.scales.fit(data, config.reach)
        networks = make_networks(ensemble, config, 0)
        torch.manual_seed(0)
        found[penalty] = Imagination(ensemble, config, data).imagine(networks, TrainingRun(0), 1)
    (real, free), (same, charged) = found[0.0], found[2.0]
    size = data.spaces.observation_dim
    assert free.next_state[:, size].max() == 1.0
    assert free.state[:, size].max() < 1.0
    assert torch.equal(real.reward, same.reward)
    assert torch.equal(free.next_state, charged.next_state)
    assert (free.reward - charged.reward > 0).all()


@pytest.mark.slow
def test_a_policy_learns_in_imagination(tiny_built):
    """`tiny` pays for reaching a hidden goal; told it by logged episodes, a short training acts better than none."""
    from metabench import evaluate

    scores = {}
    for updates in (1, 400):
        overrides = {"updates": 200, "learning_rate": 3e-3, "policy_updates": updates, "actor_learning_rate": 3e-3}
        method = load_method("mopo-context", preset="tiny", suite="tiny", overrides=overrides)
        policy = method.train(load_data("tiny", "medium"), TrainingRun(0))
        found = evaluate(policy, "tiny", "logged-shot")
        scores[updates] = np.mean([row.total_return for row in found.blocks[0].rows])
    assert scores[400] > scores[1]
