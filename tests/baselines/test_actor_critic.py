"""The shared actor-critic: its losses on problems whose answer is known, and resuming."""

from __future__ import annotations

import itertools

import pytest
import torch
from metabench_baselines.common.actor_critic.config import ActorCriticConfig
from metabench_baselines.common.actor_critic.learner import Learner
from metabench_baselines.common.actor_critic.losses import Transitions, implicit_critic_loss, measure_divergence
from metabench_baselines.common.actor_critic.networks import ActorCritic, TwinCritic

from metabench import MethodError, Spaces

SPACES = Spaces(1, 5, action_low=(-1.0,), action_high=(1.0,))
DISCRETE = Spaces(1, 5, num_actions=3)


def make_learner(spaces: Spaces = SPACES, **changes) -> Learner:
    torch.manual_seed(0)
    config = ActorCriticConfig(**{"actor_width": 32, "actor_learning_rate": 3e-3, "target_rate": 0.05} | changes)
    return Learner(ActorCritic(1, spaces, config), config)


def draw_bandit(count: int = 256) -> Transitions:
    """One state, logged actions anywhere, the best of them 0.5: what imitates them all acts 0."""
    action = torch.rand(count, 1) * 2 - 1
    state = torch.zeros(count, 1)
    return Transitions(state, action, -(action[:, 0] - 0.5).square(), state, torch.zeros(count))


def learn(learner: Learner, draw, updates: int) -> None:
    for update in range(1, updates + 1):
        torch.manual_seed(update)
        learner.update(draw(), update)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "lowest", "highest"),
    [
        pytest.param("bc", -0.1, 0.1, marks=pytest.mark.walk),
        ("iql", 0.2, 0.6),
        pytest.param("td3bc", 0.2, 0.6, marks=pytest.mark.walk),
        pytest.param("brac", 0.2, 0.8, marks=pytest.mark.walk),
    ],
)
def test_values_lead_away_from_what_is_imitated(backbone, lowest, highest):
    changes = {"temperature": 20.0} if backbone == "iql" else {}
    if backbone == "brac":  # an entropy bonus of weight 1 asks for rewards that are worth it
        changes = {"divergence_weight": 0.1, "largest_divergence_weight": 1.0, "divergence_aim": 1.0}
    learner = make_learner(backbone=backbone, **changes)

    def draw():
        batch = draw_bandit()
        return Transitions(batch.state, batch.action, 20 * batch.reward, batch.next_state, batch.continues)

    learn(learner, draw if backbone == "brac" else draw_bandit, 600)
    assert lowest < learner.networks.actor(torch.zeros(1, 1)).item() < highest


@pytest.mark.slow
def test_discrete_actions_are_chosen_by_their_value():
    def draw():
        chosen = torch.randint(3, (256,))
        state = torch.zeros(256, 1)
        reward = torch.tensor([0.0, 1.0, 0.5])[chosen]
        return Transitions(state, torch.eye(3)[chosen], reward, state, torch.zeros(256))

    learner = make_learner(DISCRETE, backbone="iql", temperature=10.0)
    learn(learner, draw, 300)
    logits = learner.networks.actor(torch.zeros(1, 1))[0]
    assert logits.argmax() == 1
    assert logits.softmax(-1)[1] > 0.9


@pytest.mark.slow
def test_a_chain_has_the_values_that_a_table_gives():
    """Four states in a row, one action each, reward 1 a step: what a time limit cuts off still counts."""
    discount = 0.5
    state = torch.arange(4.0).unsqueeze(1) / 4
    continues = torch.tensor([1.0, 1.0, 1.0, 0.0])  # only the last is an end
    following = torch.cat([state[1:], state[3:]])
    batch = Transitions(state, torch.zeros(4, 1), torch.ones(4), following, continues)
    learner = make_learner(backbone="iql", discount=discount, expectile=0.51)
    learn(learner, lambda: batch, 1500)
    expected = torch.tensor([1.875, 1.75, 1.5, 1.0])
    found = learner.networks.value(state).squeeze(-1).detach()
    assert torch.allclose(found, expected, atol=0.05)
    assert torch.allclose(learner.networks.critic(state, batch.action).mean(0).detach(), expected, atol=0.05)


def test_twin_critics_are_two_separate_networks():
    torch.manual_seed(0)
    twins = TwinCritic(3, 8, 2)
    state, action = torch.randn(5, 2), torch.randn(5, 1)
    for member in range(2):
        hidden = torch.cat([state, action], -1)
        for place, layer in enumerate(twins.layers):
            hidden = hidden @ layer.weight[member] + layer.bias[member]
            hidden = hidden.relu() if place < len(twins.layers) - 1 else hidden
        assert torch.allclose(twins(state, action)[member], hidden[:, 0], atol=1e-6)
    twins(state, action)[0].sum().backward()
    assert not any(layer.weight.grad[1].any() for layer in twins.layers)


def test_no_gradient_reaches_targets_and_the_values_of_what_follows():
    learner = make_learner(backbone="iql")
    loss, _ = implicit_critic_loss(learner.networks, draw_bandit(), ActorCriticConfig())
    loss.backward()
    assert all(each.grad is None for each in learner.networks.value.parameters())
    assert not any(each.requires_grad for each in learner.networks.target_critic.parameters())


def test_the_divergence_of_equal_distributions_is_not_above_zero():
    """It is a lower bound of the KL divergence, whatever its critic says: here it compares a batch with itself."""
    learner = make_learner(backbone="brac")
    batch = draw_bandit()
    for scale in (1.0, 10.0):
        for parameter in learner.networks.divergence.parameters():
            parameter.data *= scale
        assert measure_divergence(learner.networks, batch, batch.action).item() <= 1e-6


@pytest.mark.parametrize("backbone", ["iql", "td3bc", "brac", "bc"])
def test_a_restored_learner_goes_on_as_it_would_have(backbone):
    whole, broken = (make_learner(backbone=backbone, divergence_weight=1.0) for _ in range(2))
    for update in range(1, 7):
        if update == 4:
            other = make_learner(backbone=backbone, divergence_weight=1.0)
            other.load_state_dict(broken.state_dict())
            broken = other
        for learner in (whole, broken):
            torch.manual_seed(update)
            learner.update(draw_bandit(16), update)
    states = (learner.networks.state_dict() for learner in (whole, broken))
    for (name, one), other in zip(next(states).items(), next(states).values(), strict=True):
        assert torch.equal(one, other), name


@pytest.mark.parametrize("backbone", ["td3bc", "brac"])
def test_backbones_that_need_continuous_actions_say_so(backbone):
    with pytest.raises(MethodError, match=f"backbone={backbone} takes continuous actions; expected iql or bc"):
        ActorCritic(1, DISCRETE, ActorCriticConfig(backbone=backbone))


def test_a_stochastic_actor_knows_its_density():
    """By quadrature over its one coordinate."""
    torch.manual_seed(0)
    actor = make_learner(backbone="brac").networks.actor
    state = torch.full((20_000, 1), 0.3)
    acted, density, _ = actor.sample(state)
    edges = torch.linspace(-1, 1, 21)
    for low, high in itertools.pairwise(edges.tolist()):
        inside = (acted[:, 0] >= low) & (acted[:, 0] < high)
        if inside.sum() > 500:
            expected = density[inside].exp().mean() * (high - low)
            assert inside.float().mean().item() == pytest.approx(expected.item(), rel=0.15)
