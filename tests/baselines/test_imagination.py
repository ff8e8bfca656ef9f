"""Policies learned in imagination: in models whose best policy is known, without any environment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from metabench_baselines.common.planning.config import ImaginationConfig, PlannerConfig
from metabench_baselines.common.planning.learn_in_imagination import Imagination, ImaginationPolicy, learn_policies
from metabench_baselines.common.planning.ppo import GroupedActorCritics, GroupedRollout, estimate_advantages
from metabench_baselines.common.planning.rows import Answers, DynamicsModel, Reader, Rows, Transitions
from metabench_baselines.common.planning.world import World
from metabench_baselines.fitted_models.policy import FittedModelPolicy
from torch import Tensor

from metabench import Array, Episode, Spaces, Step

pytestmark = pytest.mark.slow


LINE = Spaces(1, 8, action_low=(-2.0,), action_high=(2.0,))
SWITCH = Spaces(1, 8, num_actions=3)
SMALL = ImaginationConfig(steps=4_096, lanes=32, rollout=8, learning_rate=3e-3, discount=0.9, scale_rewards=True)
PLANNER = PlannerConfig(samples=8, horizon=4, least_rows=1)


def direction(features: Any) -> Any:
    """`(..., 1)`: the coordinate, or of three discrete actions right, left and nothing."""
    return features if features.shape[-1] == 1 else features[..., :1] - features[..., 1:2]


class Line(DynamicsModel):
    """A point moves by its action times its group's gain; far from 0 is bad. It remembers what it saw."""

    def __init__(self, gain: Tensor, ends: float = 0.0, speed: float = 1.0) -> None:
        self.gain, self.ends, self.speed = gain, ends, speed
        self.asked: list[Tensor] = []

    def __call__(self, observations: Tensor, actions: Tensor) -> Answers:
        self.asked.append(observations)
        moved = observations + self.speed * self.gain[:, None, None] * direction(actions)
        rewards = -moved[..., 0].abs()
        doubt = (observations.abs() > 3.0).float()
        return Answers(moved, 0.1 + doubt, rewards, 0.0 * rewards, torch.full_like(rewards, self.ends))


class LineReader(Reader):
    """Finds the gain in the support."""

    def read(self, context: Rows) -> DynamicsModel:
        moved = (context.next_observations - context.observations)[..., 0]
        return Line(torch.sign((moved * direction(context.actions)[..., 0]).sum(1)))


class Imagining(ImaginationPolicy):
    """A policy that can be made."""

    def save(self, folder: Path) -> None:
        raise AssertionError(f"nothing is to be written to {folder}")


def line_episode(gain: float, seed: int, spaces: Spaces = LINE) -> Episode:
    generator = np.random.default_rng(seed)
    actions = spaces.uniform_actions(generator, (spaces.horizon,))
    moves = gain * direction(spaces.action_features(actions))
    observations = np.cumsum(np.concatenate([generator.uniform(-2, 2, (1, 1)), moves]), 0).astype(np.float32)
    return Episode(observations, actions, -np.abs(observations[1:, 0]), False, True)


def policy(spaces: Spaces = LINE, config: ImaginationConfig = SMALL) -> Imagining:
    return Imagining(LineReader(), PLANNER, spaces, config)


def step_at(observation: Array, timestep: int, spaces: Spaces = LINE) -> Step:
    lanes = len(observation)
    return Step(
        observation.astype(np.float32),
        spaces.null_actions(lanes),
        np.zeros(lanes, np.float32),
        np.full(lanes, timestep),
        np.ones(lanes, bool),
        np.ones(lanes, bool),
    )


def adapted_actions(gains: Sequence[float], lanes: Sequence[int], seed: int = 0, spaces: Spaces = LINE) -> Array:
    """`(lanes, 3, ...)` actions at -1, 0 and 1 after a support of two episodes a group."""
    made = policy(spaces)
    made.reset(lanes, [seed + lane for lane in range(len(lanes))])
    support = {
        g: [line_episode(gain, 10 * int(2 + gain) + e, spaces) for e in range(2)] for g, gain in enumerate(gains)
    }
    made.adapt({group: support[group] for group in set(lanes)})
    return np.stack(
        [made.act(step_at(np.full((len(lanes), 1), place), t, spaces)) for t, place in enumerate((-1.0, 0.0, 1.0))], 1
    )


@pytest.fixture(scope="module")
def both() -> Array:
    return adapted_actions([1.0, -1.0], [0, 1, 0])


@pytest.mark.slow
def test_each_group_learns_its_own_task(both: Array) -> None:
    low, _, high = both[0, :, 0] / 2.0  # in features: one moves by the gain
    assert low > 0.5
    assert high < -0.5
    low, _, high = both[1, :, 0] / 2.0
    assert low < -0.5
    assert high > 0.5
    assert (both[0] == both[2]).all()


@pytest.mark.slow
def test_discrete_actions_are_learned() -> None:
    assert adapted_actions([1.0, -1.0], [0, 1], spaces=SWITCH)[:, [0, 2]].tolist() == [[0, 1], [1, 0]]


@pytest.mark.slow
def test_groups_do_not_depend_on_each_other_nor_on_the_lanes_seeds(both: Array) -> None:
    alone = adapted_actions([1.0, -1.0], [1], seed=77)
    np.testing.assert_allclose(alone[0], both[1], atol=1e-4)
    assert (adapted_actions([1.0, -1.0], [0, 1, 0]) == both).all()


def test_without_support_it_plans_as_its_parent() -> None:
    made, parent = policy(), FittedModelPolicy(LineReader(), PLANNER, LINE)
    for each in (made, parent):
        each.reset([0, 1], [5, 6])
    for timestep in range(LINE.horizon):
        now = step_at(np.array([[0.5], [-1.0]]) - timestep / 10, timestep)
        assert (made.act(now) == parent.act(now)).all()


def world_of(model: Line, config: ImaginationConfig, groups: int = 1) -> tuple[World, list[Transitions]]:
    contexts = [
        Transitions.from_episodes([line_episode(1.0, g), line_episode(1.0, 50 + g)], LINE) for g in range(groups)
    ]
    starts = [each.observations[[0, LINE.horizon]] for each in contexts]
    made = World.from_contexts([model] * groups, contexts, starts, config)
    model.asked.clear()
    return made, contexts


def rolled_out(model: Line, config: ImaginationConfig, steps: int) -> tuple[GroupedRollout, World, list[Transitions]]:
    made, contexts = world_of(model, config)
    generators = [torch.Generator().manual_seed(3)]
    networks = GroupedActorCritics(LINE, config, generators)
    return Imagination(made, config, LINE, generators).act(networks, steps), made, contexts


def test_imagined_episodes_begin_where_those_of_the_support_did() -> None:
    model = Line(torch.ones(1), ends=1.0)
    rollout, made, _ = rolled_out(model, SMALL, 6)
    assert rollout.ends.all()
    for asked in model.asked:
        assert torch.isin(asked, made.starts[0]).all()
    assert len(torch.cat(model.asked).unique()) == 2


def test_the_horizon_cuts_and_is_an_end_only_if_asked() -> None:
    model = Line(torch.ones(1))
    rollout, made, _ = rolled_out(model, SMALL, 2 * LINE.horizon)
    last = torch.arange(1, 2 * LINE.horizon + 1) % LINE.horizon == 0
    assert (rollout.cuts == last[None, :, None]).all()
    assert not rollout.ends.any()
    assert torch.isin(model.asked[LINE.horizon], made.starts[0]).all()
    final = SMALL.model_copy(update={"final_time_outs": True})
    rollout, _, _ = rolled_out(Line(torch.ones(1)), final, LINE.horizon)
    assert (rollout.ends == rollout.cuts).all()


def test_branches_are_short_and_begin_anywhere() -> None:
    model = Line(torch.ones(1))
    rollout, _, (context,) = rolled_out(model, SMALL.model_copy(update={"branch": 3}), 6)
    assert rollout.cuts[:, [2, 5]].all()
    assert not rollout.cuts[:, [0, 1, 3, 4]].any()
    begun = torch.cat([model.asked[0], model.asked[3]])
    assert torch.isin(begun, torch.from_numpy(context.observations)).all()
    assert len(begun.unique()) > 4


def test_imagined_states_do_not_run_away() -> None:
    model = Line(torch.ones(1), speed=100.0)
    config = SMALL.model_copy(update={"reach": 2.0})
    _, _, (context,) = rolled_out(model, config, 6)
    both_ends = np.concatenate([context.observations, context.next_observations])
    low, high = float(both_ends.min()), float(both_ends.max())
    middle, half = (low + high) / 2, (high - low) / 2
    assert float(torch.cat(model.asked).max()) == pytest.approx(middle + 2 * half, rel=1e-5)
    assert float(torch.cat(model.asked).min()) == pytest.approx(middle - 2 * half, rel=1e-5)


def test_rewards_are_scaled_and_unusual_doubt_is_paid_for() -> None:
    plain = SMALL.model_copy(update={"scale_rewards": False, "reach": 5.0})
    model = Line(torch.ones(1), speed=2.0)
    rollout, made, (context,) = rolled_out(model, plain, 8)
    paying, _, _ = rolled_out(Line(torch.ones(1), speed=2.0), plain.model_copy(update={"penalty": 0.5}), 8)
    before = torch.stack(model.asked, 1)[..., 0]
    change = np.sqrt(np.square(context.next_observations - context.observations).mean())
    usual = np.minimum((0.1 + (np.abs(context.observations) > 3.0)) / change, 1.0).mean()
    doubted = ((0.1 + (before.abs() > 3.0).float()) / change).clamp(max=1.0)
    usual_reward = np.sqrt(np.square(context.rewards).mean())
    expected = rollout.rewards - 0.5 * usual_reward * (doubted - usual).clamp(min=0.0)
    assert (expected < rollout.rewards).any()
    assert (expected == rollout.rewards).any()
    torch.testing.assert_close(paying.rewards, expected, rtol=1e-4, atol=1e-5)
    scaled, _, _ = rolled_out(Line(torch.ones(1), speed=2.0), plain.model_copy(update={"scale_rewards": True}), 8)
    torch.testing.assert_close(scaled.rewards, rollout.rewards * (1 - plain.discount) / float(usual_reward))
    assert made.reward.item() == pytest.approx(float(usual_reward), rel=1e-5)


class Alarmed(Line):
    """It finds ends likely everywhere, and likelier where they are."""

    def __call__(self, observations: Tensor, actions: Tensor) -> Answers:
        seen = super().__call__(observations, actions)
        return replace(seen, ends=0.6 + 0.3 * (seen.next_observations[..., 0] > 2.0).float())


@pytest.mark.parametrize(("seen_to", "expected"), [(3.0, [0.0, 0.0, 1.0, 1.0]), (1.0, [0.0, 0.0, 0.75, 0.75])])
def test_probabilities_of_ends_are_measured_by_the_context(seen_to: float, expected: list[float]) -> None:
    places = np.linspace(-3.0, seen_to, 50, dtype=np.float32)
    still = np.full((1, 1), 0.0, np.float32)
    episodes = [
        Episode(np.array([[at], [at]]), still, np.array([-abs(at)]), bool(at > 2.0), not at > 2.0) for at in places
    ]
    context = Transitions.from_episodes(episodes, LINE)
    made = World.from_contexts([Alarmed(torch.ones(1))], [context], [context.observations], SMALL)
    asked = torch.tensor([-1.0, 1.9, 2.1, 2.9])[None, :, None]
    torch.testing.assert_close(made(asked, torch.zeros(1, 4, 1)).ends, torch.tensor([expected]))


@pytest.mark.slow
def test_the_last_policy_is_returned_and_improves() -> None:
    made, _ = world_of(Line(torch.ones(1)), SMALL, groups=2)
    generators = [torch.Generator().manual_seed(seed) for seed in range(2)]
    watched: list[dict[str, Tensor]] = []
    learned = learn_policies(
        made,
        SMALL,
        LINE,
        generators,
        lambda networks: watched.append({name: value.clone() for name, value in networks.state_dict().items()}),
    )
    assert len(watched) == SMALL.steps // (SMALL.lanes * SMALL.rollout)
    for name, value in learned.networks.state_dict().items():
        assert torch.equal(value, watched[-1][name])
        assert name == "log_deviation" or not torch.equal(value, watched[0][name])
    standing = np.mean([abs(float(start)) for starts in made.starts for start in starts]) * LINE.horizon
    assert all(value > -standing / 1.5 for value in learned.imagined_returns)


def test_advantages_are_discounted_sums_of_surprises() -> None:
    generator = torch.Generator().manual_seed(0)
    shape, discount, trace = (2, 7, 3), 0.9, 0.8
    rewards, values, after = (torch.randn(shape, generator=generator) for _ in range(3))
    ends = torch.rand(shape, generator=generator) < 0.2
    cuts = ends | (torch.rand(shape, generator=generator) < 0.2)
    empty = torch.zeros(*shape, 1)
    found = estimate_advantages(
        GroupedRollout(empty, empty, values, rewards, empty, ends, cuts), values, after, discount, trace
    )
    for group, first, lane in np.ndindex(shape):
        expected, weight = 0.0, 1.0
        for step in range(first, shape[1]):
            at = group, step, lane
            following = 0.0 if ends[at] else discount * float(after[at])
            expected += weight * (float(rewards[at]) + following - float(values[at]))
            weight *= discount * trace
            if cuts[at]:
                break
        assert float(found[group, first, lane]) == pytest.approx(expected, abs=1e-5)
