"""`bc`: the mean action at an observation and timestep, over all fitting tasks, whatever the task."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from metabench import DataError, Episode, Policy, Spaces, Step, TrainingData, TrainingRun, load_method
from metabench.data.columns import Columns

pytestmark = pytest.mark.slow


HORIZON, EPISODES = 8, 40
CONTINUOUS = Spaces(2, HORIZON, action_low=(-2.0,), action_high=(2.0,))
DISCRETE = Spaces(2, HORIZON, num_actions=3)
BUDGET = {"updates": 600, "width": 32, "batch_size": 128, "log_interval": 100}


def make_logged_data(spaces: Spaces, validation_shift: float = 0.0) -> TrainingData:
    """Three tasks: the first two act +0.5 and -0.5 around a known mean; the third is for validation."""
    generator = np.random.default_rng(0)
    tasks = np.repeat([0, 1, 2], EPISODES)
    observations = (5.0 + 3.0 * generator.normal(size=(len(tasks), HORIZON + 1, 2))).astype(np.float32)
    observations[tasks == 2] += validation_shift
    steps = np.broadcast_to(np.arange(HORIZON), (len(tasks), HORIZON))
    if spaces.discrete:
        actions = best_action(observations[:, :-1], steps)
    else:
        offset = np.array([0.5, -0.5, 0.0])[tasks][:, None]
        actions = (mean_action(observations[:, :-1], steps) + offset)[..., None].astype(np.float32)
    columns = Columns(
        observations.reshape(-1, 2),
        actions.reshape(-1, *actions.shape[2:]),
        np.zeros(len(tasks) * HORIZON, np.float32),
        np.arange(len(tasks) + 1) * HORIZON,
        np.zeros(len(tasks), bool),
        tasks,
    )
    return TrainingData(columns, spaces, (2,))


def mean_action(observation: np.ndarray, timestep: np.ndarray) -> np.ndarray:
    return np.tanh((observation[..., 0] - 5.0) / 3.0) + 0.4 * (timestep / HORIZON - 0.5)


def best_action(observation: np.ndarray, timestep: np.ndarray) -> np.ndarray:
    return np.where(timestep >= HORIZON // 2, 2, observation[..., 1] > 5.0).astype(np.int64)


def step_of(observation: np.ndarray, timestep: int, spaces: Spaces) -> Step:
    lanes = len(observation)
    return Step(
        observation.astype(np.float32),
        spaces.null_actions(lanes),
        np.zeros(lanes, np.float32),
        np.full(lanes, timestep),
        np.ones(lanes, bool),
        np.ones(lanes, bool),
    )


def act(policy: Policy, observation: np.ndarray, timestep: int, spaces: Spaces) -> np.ndarray:
    policy.reset(range(len(observation)), range(len(observation)))
    return policy.act(step_of(observation, timestep, spaces))


@pytest.fixture(scope="module")
def method() -> object:
    return load_method("bc", preset="tiny", overrides=BUDGET)


@pytest.fixture(scope="module")
def trained(method: object) -> Policy:
    return method.train(make_logged_data(CONTINUOUS), TrainingRun(0))


FRESH = 5.0 + 3.0 * np.random.default_rng(1).normal(size=(300, 2))


@pytest.mark.slow
def test_it_acts_the_mean_over_tasks(trained: Policy) -> None:
    for timestep in (0, 3, 7):
        error = act(trained, FRESH, timestep, CONTINUOUS)[:, 0] - mean_action(FRESH, np.array(timestep))
        assert np.sqrt(np.mean(error**2)) < 0.12  # the tasks themselves lie 0.5 away; ignoring time costs 0.12 to 0.2
        assert abs(error.mean()) < 0.06


@pytest.mark.slow
def test_discrete_actions_are_the_most_likely_ones(method: object) -> None:
    policy = method.train(make_logged_data(DISCRETE), TrainingRun(0))
    for timestep in (0, 3, 4, 7):
        acted = act(policy, FRESH, timestep, DISCRETE)
        assert acted.dtype == np.int64
        assert (acted == best_action(FRESH, np.array(timestep))).mean() > 0.93


def test_support_and_history_change_nothing(trained: Policy) -> None:
    before = act(trained, FRESH, 2, CONTINUOUS)
    trained.reset([0] * len(FRESH), [0] * len(FRESH))
    trained.adapt({0: [Episode(np.ones((3, 2)), np.ones((2, 1)), np.ones(2), False, True)]})
    trained.act(step_of(FRESH + 1, 1, CONTINUOUS))
    np.testing.assert_array_equal(trained.act(step_of(FRESH, 2, CONTINUOUS)), before)


@pytest.mark.slow
def test_validation_tasks_are_looked_at_and_not_trained_on(method: object) -> None:
    first, second = TrainingRun(0), TrainingRun(0)
    policy = method.train(make_logged_data(CONTINUOUS), first)
    other = method.train(make_logged_data(CONTINUOUS, validation_shift=40.0), second)
    np.testing.assert_array_equal(act(policy, FRESH, 1, CONTINUOUS), act(other, FRESH, 1, CONTINUOUS))
    assert [row["loss"] for row in first.curve] == [row["loss"] for row in second.curve]
    assert all(
        one["validation_loss"] != two["validation_loss"] for one, two in zip(first.curve, second.curve, strict=True)
    )
    assert [row["update"] for row in first.curve] == [100, 200, 300, 400, 500, 600]
    held_out = make_logged_data(CONTINUOUS).validation
    predicted = np.concatenate(
        [
            act(policy, held_out.columns.observations.reshape(-1, HORIZON + 1, 2)[:, t], t, CONTINUOUS)
            for t in range(HORIZON)
        ]
    )
    actions = np.concatenate(list(held_out.columns.actions.reshape(-1, HORIZON, 1).swapaxes(0, 1)))
    expected = np.mean((predicted - actions) ** 2) / 2.0**2  # the loss is in actions scaled to [-1, 1]
    assert first.curve[-1]["validation_loss"] == pytest.approx(expected, rel=0.02)


def test_a_suite_without_validation_tasks_validates_on_trajectories() -> None:
    data = make_logged_data(CONTINUOUS)
    one_a_task = data.columns.select(np.arange(3) * EPISODES)
    for columns, metrics in ((data.columns, {"loss", "validation_loss"}), (one_a_task, {"loss"})):
        run = TrainingRun(0)
        load_method("bc", preset="tiny", overrides={"updates": 20}).train(TrainingData(columns, data.spaces), run)
        assert set(run.curve[-1]) == {"stage", "update", *metrics}


def test_it_is_saved_with_its_own_configuration(trained: Policy, tmp_path: Path) -> None:
    trained.save(tmp_path)
    loaded = load_method("bc", preset="paper").load(tmp_path, CONTINUOUS)
    np.testing.assert_array_equal(act(loaded, FRESH, 3, CONTINUOUS), act(trained, FRESH, 3, CONTINUOUS))
    assert loaded.parameter_count() == trained.parameter_count() == (3 * 32 + 32) + (32 * 32 + 32) + (32 + 1)


@pytest.mark.parametrize(
    "other",
    [dataclasses.replace(CONTINUOUS, horizon=9), dataclasses.replace(CONTINUOUS, action_high=(3.0,)), DISCRETE],
)
def test_other_spaces_are_refused(other: Spaces, trained: Policy, tmp_path: Path) -> None:
    trained.save(tmp_path)
    with pytest.raises(DataError, match="expected Spaces"):
        load_method("bc").load(tmp_path, other)


def test_missing_damaged_and_foreign_files_are_refused(trained: Policy, tmp_path: Path) -> None:
    method = load_method("bc")
    with pytest.raises(DataError, match="nothing was saved here"):
        method.load(tmp_path, CONTINUOUS)
    trained.save(tmp_path)
    path = next(tmp_path.rglob("*.safetensors"))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match="damaged"):
        method.load(tmp_path, CONTINUOUS)
    load_method("random").load(tmp_path, CONTINUOUS)
    from metabench import save_state

    save_state({"network": {"weight": torch.ones(2)}, "config": {}, "spaces": {}}, tmp_path / "policy")
    with pytest.raises(DataError, match="not a policy of bc"):
        method.load(tmp_path, CONTINUOUS)
