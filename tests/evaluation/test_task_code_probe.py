"""The linear probe: what it says of codes that are known to hold the task, noise, or nothing."""

from __future__ import annotations

import numpy as np
import pytest

from metabench import Policy, load_suite
from metabench.evaluation.task_code_probe import probe_task_codes


class Coded(Policy):
    """Acts never; its codes are a function of the first rewards and observations of an episode."""

    def __init__(self, code):
        self.code = code

    def reset(self, groups, seeds):
        raise AssertionError("the probe does not act")

    def act(self, step):
        raise AssertionError("the probe does not act")

    def save(self, folder):
        raise AssertionError("the probe does not save")

    def task_codes(self, episodes, steps):
        return self.code(episodes, steps)


def position_of_goal(episodes, steps):
    """The goal from distances at the first places (least squares on squared distances): exact from three steps on."""
    goals = []
    for episode in episodes:
        places = episode.observations[1 : steps + 1].astype(np.float64)
        squares = (places**2).sum(axis=1) - episode.rewards[:steps].astype(np.float64) ** 2
        matrix = np.c_[2 * places, np.ones(len(places))]
        goals.append(np.linalg.lstsq(matrix, squares, rcond=None)[0][:2])
    return np.array(goals)


@pytest.fixture(scope="module")
def suite():
    return load_suite("point-robot")


@pytest.fixture
def few_trajectories(monkeypatch, suite):
    """The probe's data, rolled out here instead of built."""
    from metabench.data.making.roll_out import roll_out

    tasks = [task.id for task in suite.split("train") for _ in range(20)]
    columns = roll_out(suite, tasks, ["medium"] * len(tasks), list(range(len(tasks)))).columns
    monkeypatch.setattr("metabench.evaluation.task_code_probe.load_columns", lambda *arguments, **options: columns)


@pytest.mark.usefixtures("few_trajectories")
def test_a_code_that_holds_the_goal_is_found(suite):
    report = probe_task_codes(Coded(position_of_goal), suite, "medium")
    assert report["after_16_steps"]["r2"] > 0.99
    assert report["after_16_steps"]["distance"] < 0.05
    assert report["after_1_steps"]["r2"] < 0.9  # one distance is no place


@pytest.mark.usefixtures("few_trajectories")
def test_noise_and_constants_hold_nothing(suite):
    generator = np.random.default_rng(0)
    noise = probe_task_codes(Coded(lambda episodes, steps: generator.normal(size=(len(episodes), 8))), suite, "medium")
    assert abs(noise["after_4_steps"]["r2"]) < 0.1
    constant = probe_task_codes(Coded(lambda episodes, steps: np.ones((len(episodes), 3))), suite, "medium")
    assert constant["after_4_steps"]["r2"] == pytest.approx(0.0, abs=1e-9)
    assert constant["after_4_steps"]["distance"] == pytest.approx(constant["mean_distance"])


@pytest.mark.usefixtures("few_trajectories")
def test_codes_see_no_later_step(suite):
    seen = []

    def code(episodes, steps):
        seen.append((len(episodes), steps))
        return np.zeros((len(episodes), 1))

    probe_task_codes(Coded(code), suite, "medium")
    assert seen == [(45 * 20, 1), (45 * 20, 4), (45 * 20, 16)]


@pytest.mark.usefixtures("few_trajectories")
def test_a_policy_without_code_has_no_probe(suite):
    assert probe_task_codes(Coded(lambda episodes, steps: None), suite, "medium") is None
