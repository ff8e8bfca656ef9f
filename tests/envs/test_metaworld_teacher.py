"""Meta-World's scripted teacher: shown the goal, clipped, the same in any company; `medium` is weakened."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from metabench.data.making.references import measure_references
from metabench.data.making.roll_out import roll_out
from metabench.envs import load_family
from metabench.envs.metaworld.teacher import read_errors, write_errors
from metabench.errors import DataError, UnknownNameError
from metabench.suites import load_suite
from metabench.teachers.calibrate import calibrate_medium

REACH = {"environment": "reach-v3", "goal": [0.05, 0.85, 0.2]}
LOCK = {"environment": "door-lock-v3", "rand_vec": [0.0, 0.82, 0.15]}


def teacher(folder, horizon=500):
    return load_family("meta-world").teacher(folder, horizon)


@pytest.mark.slow
def test_the_expert_solves_tasks_whose_goal_the_observation_hides():
    suite = load_suite("reach")
    tasks = [task.id for task in suite.split("test")[:2]]
    acted = roll_out(suite, tasks, ["expert"] * 2, [1, 2])
    assert acted.success.reshape(2, 500)[:, -50:].mean() > 0.9
    assert (np.abs(acted.columns.actions) <= 1.0).all()
    assert (acted.columns.observations[:, -3:] == 0.0).all()
    assert (acted.columns.episode_returns > 4500).all()


@pytest.mark.slow
def test_trajectories_of_a_task_differ_by_their_seeds_only():
    suite = load_suite("reach")
    task = suite.split("test")[0].id
    acted = roll_out(suite, [task] * 3, ["expert"] * 3, [1, 2, 1]).columns
    one, two, again = acted.actions.reshape(3, 500, 4)
    assert (one != two).any()
    np.testing.assert_array_equal(one, again)
    rewards = acted.rewards.reshape(3, 500)
    np.testing.assert_array_equal(rewards[0], rewards[2])


@pytest.mark.slow
def test_a_lane_acts_alike_in_any_company(tmp_path):
    write_errors(tmp_path, {"reach-v3": 0.5, "door-lock-v3": 0.3})
    observation = np.random.default_rng(0).normal(0.3, 0.2, (3, 39)).astype(np.float32)
    together, alone = teacher(tmp_path), teacher(tmp_path)
    together.reset(["expert", "medium", "medium"], [REACH, LOCK, REACH], [1, 2, 3])
    alone.reset(["medium"], [LOCK], [2])
    for _ in range(40):
        np.testing.assert_array_equal(together.act(observation)[1], alone.act(observation[1:2])[0])


@pytest.mark.slow
def test_medium_takes_its_hand_to_be_off_its_place_by_an_error_of_the_deviation_in_the_file(tmp_path):
    """With the hand at the goal the scripted action is 5 times what the lane takes the distance to be."""
    write_errors(tmp_path, {"reach-v3": 0.05})
    medium = teacher(tmp_path)
    medium.reset(["medium"] * 400, [REACH] * 400, range(400))
    observation = np.zeros((400, 39), np.float32)
    observation[:, :3] = (0.05, 0.85, 0.2)
    error = np.stack([medium.act(observation) for _ in range(300)])[:, :, :3].mean(axis=0) / -5.0
    assert np.abs(error.std(axis=0) - 0.05).max() < 0.006
    assert np.abs(error.mean(axis=0)).max() < 0.01
    assert np.abs(np.corrcoef(error.T) - np.eye(3)).max() < 0.2  # each axis has its own


def test_noise_is_drawn_anew_at_every_step(tmp_path):
    expert = teacher(tmp_path)
    expert.reset(["expert"] * 50, [REACH] * 50, range(50))
    observation = np.zeros((50, 39), np.float32)
    observation[:, :3] = (0.05, 0.85, 0.2)
    noise = np.stack([expert.act(observation) for _ in range(300)])
    assert abs(noise.std() - 0.1) < 0.005
    assert abs(np.corrcoef(noise[1:].ravel(), noise[:-1].ravel())[0, 1]) < 0.02


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "medium.json: cannot be read: No such file or directory; run `metabench teacher calibrate`"),
        ("{", "medium.json: not valid JSON"),
        ("[]", "medium.json: hand_error: expected a number for each environment"),
        (
            '{"hand_error": {"reach-v3": -1.0}}',
            "hand_error.reach-v3: expected a finite number from 0, found -1.0",
        ),
        ('{"hand_error": {"push-v3": 0.5}}', "has no entry for 'reach-v3'"),
    ],
)
def test_a_missing_or_damaged_file_of_errors_is_named(tmp_path, content, message):
    if content is not None:
        (tmp_path / "medium.json").write_text(content)
    with pytest.raises(DataError) as caught:
        teacher(tmp_path).reset(["medium"], [REACH], [0])
    assert message in str(caught.value)


def test_unknown_behaviours_are_refused(tmp_path):
    with pytest.raises(UnknownNameError, match="'novice'"):
        teacher(tmp_path).reset(["novice"], [REACH], [0])


def test_errors_round_trip(tmp_path):
    path = write_errors(tmp_path / "teachers", {"reach-v3": 0.25})
    assert json.loads(path.read_text()) == {"hand_error": {"reach-v3": 0.25}}
    assert read_errors(path.parent) == {"reach-v3": 0.25}


def test_only_suites_of_meta_world_are_calibrated():
    with pytest.raises(DataError, match=r"expected a family whose medium .* found 'point-robot'"):
        calibrate_medium(load_suite("point-robot"))


@pytest.mark.slow
def test_tasks_of_an_environment_share_their_reference_of_success():
    """Of some goals the scripted policy never succeeds: their environment's others still give a scale."""
    whole = load_suite("ml10")
    chosen = [(number, whole.tasks[task]) for number, task in enumerate((105, 115, 116))]
    tasks = tuple(task.model_copy(update={"id": number}) for number, task in chosen)
    suite = dataclasses.replace(whole, entry=whole.entry.model_copy(update={"task": tasks}))
    assert [suite.unit(task.id) for task in tasks] == ["door-close-v3", "sweep-into-v3", "sweep-into-v3"]
    measured = measure_references(suite, 1, ["expert"], "success", "test")
    assert [each["success"]["expert"] for each in measured.values()] == [1.0, 0.5, 0.5]
    with pytest.raises(DataError, match="success: expected a rule"):
        measure_references(load_suite("tiny"), 20, kind="success")
