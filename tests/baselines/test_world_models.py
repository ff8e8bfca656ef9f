"""World models of many tasks: what an ensemble learns of planted dynamics, how it is told the task, who plans in it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from metabench_baselines.cadm.config import CadmConfig
from metabench_baselines.common.planning.config import EliteSearchConfig, SearchConfig
from metabench_baselines.common.planning.open_loop import predict_open_loop
from metabench_baselines.common.planning.planner import Planner
from metabench_baselines.common.planning.rows import Answers, branch_lanes
from metabench_baselines.common.world_models.contract import Outcome
from metabench_baselines.common.world_models.ensemble import Ensemble
from metabench_baselines.common.world_models.policy import EnsemblePlanningPolicy, make_model
from metabench_baselines.common.world_models.train import Judge, train_ensemble
from metabench_baselines.pets.config import PetsConfig

from metabench import Columns, Episode, Spaces, TrainingData, TrainingRun, load_data, load_method

PLANE = Spaces(observation_dim=2, horizon=20, action_low=(-1.0, -1.0), action_high=(1.0, 1.0))
SMALL = {"width": 32, "batch": 64, "tasks_per_update": 8, "updates": 500, "judged_every": 100, "learning_rate": 3e-3}


def make_data(turns, episodes=12, length=20, seed=0):
    """Tasks in which a point moves by a tenth of the action, times the task's turn; it earns its first coordinate."""
    generator = np.random.default_rng(seed)
    count = len(turns) * episodes
    turn = np.repeat(np.asarray(turns, np.float32), episodes)[:, None]
    states = [generator.normal(size=(count, 2)).astype(np.float32)]
    actions = generator.uniform(-1, 1, size=(length, count, 2)).astype(np.float32)
    for action in actions:
        states.append(states[-1] + 0.1 * turn * action)
    observations = np.stack(states, 1)
    rewards = observations[:, 1:, 0]
    return TrainingData(
        Columns(
            observations=observations.reshape(-1, 2),
            actions=actions.transpose(1, 0, 2).reshape(-1, 2),
            rewards=rewards.ravel(),
            offsets=np.arange(count + 1) * length,
            terminated=np.zeros(count, bool),
            tasks=np.repeat(np.arange(len(turns)), episodes),
        ),
        PLANE,
    )


TURNS = (-1.5, -1.0, -0.5, 0.5, 1.0, 1.5, -1.2, 1.2)


def train(config, data):
    torch.manual_seed(0)
    ensemble = Ensemble(data.spaces, config)
    train_ensemble(ensemble, data, TrainingRun(0))
    return ensemble


@pytest.fixture(scope="module")
def told():
    """An ensemble with a context, of tasks that turn actions differently."""
    return train(CadmConfig(**SMALL, encoder_widths=(32,), code_dim=4), make_data(TURNS))


@pytest.fixture(scope="module")
def untold():
    return train(PetsConfig(**SMALL), make_data(TURNS))


def list_episodes(turn, count, seed=9):
    data = make_data([turn], episodes=count, seed=seed)
    return [data.episode(number) for number in range(count)]


def cut(episode, steps):
    return Episode(episode.observations[: steps + 1], episode.actions[:steps], episode.rewards[:steps], False, False)


def measure_error(ensemble, turn, shots, seen, ahead=5):
    """Root of the squared error, as a share of that of no change."""
    policy = EnsemblePlanningPolicy(ensemble, ensemble.config, PLANE)
    episodes = list_episodes(turn, 8 + shots)
    policy.reset([0] * 8, range(8))
    if shots:
        policy.adapt({0: episodes[8:]})
    actions = np.stack([episode.actions[seen : seen + ahead] for episode in episodes[:8]])
    said = policy.predict([cut(episode, seen) for episode in episodes[:8]], actions)
    true = np.stack([episode.observations[seen + 1 : seen + ahead + 1] for episode in episodes[:8]])
    still = np.stack([episode.observations[seen] for episode in episodes[:8]])[:, None]
    return float(np.sqrt(np.square(said.observations - true).sum() / np.square(true - still).sum()))


@pytest.mark.slow
def test_an_ensemble_learns_planted_dynamics_of_one_task():
    ensemble = train(PetsConfig(**SMALL), make_data([1.0, 1.0]))
    assert measure_error(ensemble, 1.0, shots=0, seen=0) < 0.15


@pytest.mark.slow
def test_where_dynamics_differ_a_context_beats_none(told, untold):
    for turn in (-0.8, 0.8):
        assert measure_error(told, turn, shots=3, seen=0) < 0.4
        assert measure_error(untold, turn, shots=3, seen=0) > 0.7


@pytest.mark.slow
def test_the_lanes_own_steps_tell_the_task_as_well(told):
    for turn in (-1.0, 1.0):
        assert measure_error(told, turn, shots=0, seen=12) < 0.6 * measure_error(told, turn, shots=0, seen=0)


@pytest.mark.slow
@pytest.mark.parametrize("reading", ["belief", "encoder"])
def test_an_empty_support_is_no_support(told, reading):
    model = make_reader(told, reading)
    nothing = list_episodes(1.0, 1)[0]
    before = model.begin(2)
    after = model.read_support(before, torch.tensor([0]), [cut(nothing, 0)])
    for name, value in vars(before).items():
        assert torch.equal(value, getattr(after, name))


def make_reader(ensemble, reading):
    config = ensemble.config
    ensemble.config = config.model_copy(update={"reading": reading})
    try:
        return make_model(ensemble)
    finally:
        ensemble.config = config


@pytest.mark.slow
def test_reading_depends_on_own_lane_and_support_alone(told):
    episodes = list_episodes(1.0, 4)
    for reading in ("belief", "encoder"):
        model = make_reader(told, reading)
        both = model.read_support(model.begin(2), torch.tensor([1]), episodes)
        alone = model.read_support(model.begin(1), torch.tensor([0]), episodes)
        codes, nothing = model.find_codes(both), model.find_codes(model.begin(1))
        torch.testing.assert_close(codes[1:], model.find_codes(alone), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(codes[:1], nothing, atol=1e-5, rtol=1e-4)
        assert (codes[0] - codes[1]).abs().max() > 1e-3


@pytest.mark.slow
def test_imagination_that_overflows_stays_near_the_data(told):
    model = make_model(told)
    data = make_data(TURNS).columns
    state = model.imagine_from(model.begin(3), torch.tensor([[1e30, 0.0], [0.0, -1e30], [float("nan"), 0.0]]))
    for _ in range(40):
        seen = model(state, torch.ones(1, 3, 2))
        state = seen.following
        for part in (seen.next_observations, seen.deviations, seen.rewards, seen.reward_deviations):
            assert part.isfinite().all()
    reach = told.config.reach * np.ptp(data.observations, 0) / 2 + np.abs(data.observations).max(0)
    assert (seen.next_observations[0].abs().numpy() <= reach).all()


def test_the_elites_are_those_of_the_smallest_held_out_errors():
    ensemble = Ensemble(PLANE, PetsConfig(members=4, elites=2, width=8))
    judge = Judge(ensemble)
    judge.judge(torch.tensor([3.0, 1.0, 2.0, 9.0]))
    assert ensemble.elites.tolist() == [1, 2]
    with torch.no_grad():
        for parameter in ensemble.parameters():
            parameter += 1.0
    judge.judge(torch.tensor([9.0, 9.0, 1.0, 8.0]))
    assert (ensemble.elites.tolist(), judge.stale) == ([2, 3], 1)
    judge.restore()  # what was worse is not kept
    assert ensemble.elites.tolist() == [1, 2]
    asked = make_model(ensemble)
    state = asked.imagine_from(asked.begin(5), torch.randn(5, 2))
    actions = torch.rand(1, 5, 2)
    apart = state.observations.flatten(0, 1).transpose(0, 1)
    said = ensemble.ask(
        ensemble.members,
        torch.cat([apart[:1]] * 4),
        actions.expand(4, -1, -1),
        torch.zeros(4, 5, 0),
    )
    outcome = asked(state, actions)
    wanted = ensemble.scales.reach_outcome(apart[:1], said.mean)[0][[1, 2]].mean(0)
    torch.testing.assert_close(outcome.next_observations[0], wanted)


def walk(observations, actions):
    state = observations + 0.1 * actions
    zeros = torch.zeros(state.shape[:2])
    return Answers(state, torch.zeros_like(state), -(state - 1.0).square().sum(2), zeros, zeros)


@dataclasses.dataclass(frozen=True)
class Walked:
    """A state: where it is, and how many steps led there."""

    observations: torch.Tensor
    steps: torch.Tensor


def walk_in_state(state, actions):
    """The same walk by a model that keeps a state."""
    seen = walk(state.observations, actions)
    return Outcome(**vars(seen), state=Walked(seen.next_observations, state.steps + 1), disagreement=seen.rewards * 0)


@pytest.mark.parametrize("config", [SearchConfig(), EliteSearchConfig(), EliteSearchConfig(search_elites=0)])
def test_models_with_a_state_and_without_are_planned_in_alike(config):
    planner, at = Planner(config, PLANE), torch.randn(1, 3, 2, generator=torch.Generator().manual_seed(0))
    state = Walked(at, torch.zeros(1, 3))
    plans = [
        planner.plan(model, begin, None, [torch.Generator().manual_seed(seed) for seed in range(3)])
        for model, begin in ((walk, at), (walk_in_state, state))
    ]
    assert torch.equal(*plans)


def test_deviations_of_a_model_with_a_state_are_its_own():
    actions, at = torch.zeros(1, 2, 4, 2), torch.zeros(1, 2, 2)

    def doubtful(state, actions):
        return dataclasses.replace(walk_in_state(state, actions), deviations=torch.ones_like(state.observations))

    spread = predict_open_loop(doubtful, Walked(at, torch.zeros(1, 2)), actions)[3]
    assert torch.equal(spread, torch.ones(1, 2, 4, 2))


def test_branches_of_a_lane_lie_side_by_side():
    state = Walked(torch.arange(12.0).view(1, 3, 4), torch.arange(3.0).view(1, 3))
    branched = branch_lanes(state, 2)
    assert branched.steps.tolist() == [[0, 0, 1, 1, 2, 2]]
    assert torch.equal(branched.observations[0, ::2], state.observations[0])


def test_elites_find_what_pays():
    plans = {}
    for config in (EliteSearchConfig(iterations=4, samples=64), EliteSearchConfig(iterations=1, samples=64)):
        noise = [torch.Generator().manual_seed(seed) for seed in range(8)]
        plans[config.iterations] = Planner(config, PLANE).plan(walk, torch.zeros(1, 8, 2), None, noise)
    assert plans[4][:, :, :4].mean() > 0.8  # the way to (1, 1) is to the upper right, all the way
    assert plans[4][:, :, :4].mean() > plans[1][:, :, :4].mean()


@pytest.mark.slow
@pytest.mark.parametrize("overrides", [{"loss_steps": 5}, {"action_gating": True}, {"reading": "encoder"}])
def test_every_option_trains_and_is_read_back(tiny_built, tmp_path, overrides):
    data = load_data("tiny", "medium")
    method = load_method("cadm-plus", preset="tiny", overrides=overrides)
    run = TrainingRun(0)
    policy = method.train(data, run)
    policy.save(tmp_path)
    again = method.load(tmp_path, data.spaces)
    episodes = [data.episode(number) for number in range(4)]
    said = []
    for each in (policy, again):
        each.reset([0, 0], [1, 2])
        each.adapt({0: episodes[2:]})
        actions = np.stack([episode.actions[3:6] for episode in episodes[:2]])
        said.append(each.predict([cut(episode, 3) for episode in episodes[:2]], actions))
    assert np.array_equal(said[0].observations, said[1].observations)
    assert said[0].observation_deviations.min() > 0
    assert all(np.isfinite(row["loss"]) for row in run.curve)
