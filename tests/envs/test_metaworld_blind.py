"""Blind scripts of Meta-World: they know where training goals lie, and neither the task's goal nor its reward."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from metabench.data.making.references import measure_references
from metabench.data.making.roll_out import roll_out
from metabench.envs.metaworld.blind_scripts import FINGERTIPS, SPACING, BlindScript, propose_scripts
from metabench.envs.metaworld.families import MetaWorldFamily
from metabench.errors import DataError
from metabench.suites import load_suite
from metabench.teachers.blind import choose_blind, install_blind, list_candidates

GOALS = [[-0.08, 0.82, 0.08], [0.06, 0.88, 0.26], [0.02, 0.85, 0.2]]
HORIZON = 120
TRAINING = [{"environment": "reach-v3", "goal": goal} for goal in GOALS]


@pytest.fixture(scope="module")
def proposed():
    return propose_scripts(TRAINING, 500)


@pytest.fixture
def reach(tmp_path):
    """Reach in a folder of its own, scored by success at the last step: short, two training tasks and a test task."""
    shutil.copytree(load_suite("reach").folder, tmp_path / "reach")
    suite = load_suite(tmp_path / "reach")
    chosen = [suite.tasks[0], suite.tasks[2], next(iter(suite.split("test")))]
    success = {"random": 0.0, "expert": 1.0}
    content = suite.entry.model_dump(exclude={"task", "datasets", "success", "horizon"})
    tasks = [
        {**task.model_dump(), "id": place, "validation": place == 0, "success": success}
        for place, task in enumerate(chosen)
    ]
    datasets = {"medium": suite.entry.model_dump()["datasets"]["medium"]}
    entry = type(suite.entry).model_validate(
        {**content, "success": "last", "horizon": HORIZON, "task": tasks, "datasets": datasets}
    )
    return type(suite)(entry, suite.folder)


def play(content, observations):
    """Actions of a script of horizon 500, one observation a step."""
    policy = MetaWorldFamily().blind_scripts().load(content, 500)
    policy.reset([0] * len(observations[0]))
    return np.array([policy.act(each) for each in observations])


def test_places_are_of_the_training_goals_alone(proposed):
    means = [each for name, each in proposed.items() if name.endswith("at the mean goal")]
    assert [each["environment"] for each in means] == [None, "reach-v3"]
    for each in means:
        assert np.allclose(each["places"], [np.mean(GOALS, axis=0)], atol=1e-6)
    grid = np.array(proposed["fingertips through the goals' box"]["places"])
    low, high = np.min(GOALS, axis=0), np.max(GOALS, axis=0)
    assert ((grid > low) & (grid < high)).all()
    assert len(grid) == len({tuple(place) for place in grid.tolist()}) == 3 * 1 * 3
    steps = np.abs(np.diff(grid, axis=0))
    assert ((steps > 1e-9).sum(axis=1) == 1).all()  # along one axis at a time
    assert steps.max() <= SPACING + 1e-9
    corners = np.array(np.meshgrid(*zip(low, high, strict=True))).T.reshape(-1, 3)
    assert np.linalg.norm(corners[:, None] - grid[None], axis=-1).min(axis=1).max() < 0.06
    assert proposed["sit still"]["places"] == []


def test_the_fingertips_go_to_its_places_in_turn(proposed):
    content = proposed["fingertips through the goals' box"]
    hand, seen, reached = np.array([0.0, 0.6, 0.2]), [], set()
    policy = MetaWorldFamily().blind_scripts().load(content, 500)
    policy.reset([0])
    for _ in range(500):
        action = policy.act(np.concatenate([hand, np.zeros(36)])[None])[0]
        assert action[3] == 0.0
        assert np.abs(action).max() <= 1.0
        hand = hand + action[:3] / 100.0  # as Meta-World moves its hand
        seen.append(hand + FINGERTIPS)
        reached |= {place for place, there in enumerate(content["places"]) if np.linalg.norm(seen[-1] - there) < 0.01}
    assert reached == set(range(len(content["places"])))
    assert np.linalg.norm(seen[-1] - content["places"][-1]) < 1e-3
    assert (play(proposed["sit still"], np.ones((3, 2, 39))) == 0.0).all()


def test_a_scripted_policy_is_told_the_place_whatever_the_observation_ends_in(proposed):
    content = proposed["scripted policy of reach-v3 at the mean goal"]
    observations = np.random.default_rng(0).uniform(-0.2, 0.8, (4, 2, 39))
    told = observations.copy()
    told[..., -3:] = 7.0
    assert (play(content, observations) == play(content, told)).all()
    other = observations.copy()
    other[..., :3] += 0.1
    assert (play(content, observations) != play(content, other)).any()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"environment": "raech-v3"}, "unknown environment of Meta-World 'raech-v3'; did you mean 'reach-v3'"),
        ({"environment": "reach-v3", "places": []}, "places: expected at least one"),
        ({"places": [[0.0, 0.1]]}, "places.0.2: this key is missing"),
        ({"goal": 1}, "goal: there is no such key"),
    ],
)
def test_a_broken_file_is_named(reach, change, expected):
    content = BlindScript(script="mine", environment=None, places=((0.0, 0.8, 0.2),)).model_dump(mode="json")
    reach.references_folder.mkdir(exist_ok=True)
    path = reach.references_folder / "blind.json"
    path.write_text(json.dumps(content | change))
    with pytest.raises(DataError, match=rf"blind\.json: not a blind script: {expected}"):
        reach.blind()
    path.write_text("{")
    with pytest.raises(DataError, match=r"blind\.json: not a blind script: Expecting"):
        reach.blind()


@pytest.mark.slow
def test_the_best_script_of_the_training_tasks_is_installed_and_measured(reach):
    scores = {}
    candidates = list_candidates(reach, None)
    install_blind(reach, choose_blind(reach, candidates[1:3], 1, scores.__setitem__))
    content = json.loads((reach.references_folder / "blind.json").read_text())
    assert scores[content["script"]] == max(scores.values())
    measured = measure_references(reach, 2, ["expert", "blind"])
    assert all(each["success"]["expert"] == 1.0 for each in measured.values())
    assert all("blind" not in each["reference"] and "expert" in each["reference"] for each in measured.values())
    acted = roll_out(reach, [0, 1, 2], ["blind"] * 3, [0, 1, 2])
    fingertips = acted.columns.observations.reshape(3, HORIZON + 1, 39)[:, -1, :3] + FINGERTIPS
    goals = np.array([task.parameters["goal"] for task in reach.tasks])
    near = np.linalg.norm(fingertips - goals, axis=1) < 0.05  # Meta-World's rule
    assert acted.judge_success("last").tolist() == near.tolist()
    assert [each["success"]["blind"] for each in measured.values()] == near.astype(float).tolist()
