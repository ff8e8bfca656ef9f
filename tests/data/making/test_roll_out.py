"""Rolling out: lanes are independent, teachers are what they claim to be."""

from __future__ import annotations

import math

import numpy as np
import pytest

from metabench.data.making.plan import plan_trajectories
from metabench.data.making.references import ENDS, measure_references
from metabench.data.making.roll_out import roll_out
from metabench.data.trajectories import ActedEpisodes
from metabench.errors import DataError, MetabenchError
from metabench.suites import load_suite

SUITES = ("tiny", "tiny-discrete")


def plan_of(name: str, dataset: str):
    suite = load_suite(name)
    return suite, plan_trajectories(suite, dataset)


def episodes_of(rolled) -> list[tuple]:
    columns = rolled.columns
    parts = []
    for e, (start, stop) in enumerate(zip(columns.offsets[:-1], columns.offsets[1:], strict=True)):
        success = b"" if rolled.success is None else rolled.success[start:stop].tobytes()
        parts.append(
            (
                int(columns.tasks[e]),
                columns.observations[start + e : stop + e + 1].tobytes(),
                columns.actions[start:stop].tobytes(),
                columns.rewards[start:stop].tobytes(),
                bool(columns.terminated[e]),
                success,
            )
        )
    return parts


@pytest.mark.parametrize("name", SUITES)
def test_a_lane_does_not_depend_on_the_others_or_on_chunks(name, monkeypatch):
    suite, plan = plan_of(name, "medium")
    whole = episodes_of(roll_out(suite, plan.tasks, plan.behaviours, plan.seeds))
    order = np.random.default_rng(0).permutation(len(plan))
    shuffled = episodes_of(
        roll_out(suite, *([column[i] for i in order] for column in (plan.tasks, plan.behaviours, plan.seeds)))
    )
    assert [shuffled[place] for place in np.argsort(order)] == whole
    monkeypatch.setattr("metabench.envs.batched.BatchedEnvironment.lanes_at_once", 7)
    assert episodes_of(roll_out(suite, plan.tasks, plan.behaviours, plan.seeds)) == whole
    assert episodes_of(roll_out(suite, plan.tasks[3:4], plan.behaviours[3:4], plan.seeds[3:4])) == whole[3:4]


@pytest.mark.parametrize("name", SUITES)
def test_random_taught_and_blind_lanes_may_be_mixed(name):
    suite = load_suite(name)
    lanes = [(0, "random", 5), (1, "medium", 6), (0, "blind", 9), (0, "expert", 7), (1, "random", 8), (1, "blind", 9)]
    mixed = episodes_of(roll_out(suite, *(list(column) for column in zip(*lanes, strict=True))))
    assert mixed == [episodes_of(roll_out(suite, [task], [what], [seed]))[0] for task, what, seed in lanes]


def test_the_blind_policy_sees_observations_and_nothing_else():
    suite = load_suite("tiny")
    goals = {tuple(task.parameters["goal"]) for task in suite.tasks}
    acted = roll_out(suite, [task.id for task in suite.tasks], ["blind"] * len(suite.tasks), [3] * len(suite.tasks))
    actions = acted.columns.actions.reshape(len(suite.tasks), -1)
    assert len(goals) == len(suite.tasks) > 1
    assert (actions == actions[0]).all()  # observations are places: all tasks begin at one, and it goes the same way
    with pytest.raises(MetabenchError, match="suite grid-world ships no blind policy"):
        roll_out(load_suite("grid-world"), [0], ["blind"], [0])


def test_success_is_judged_at_the_last_step_or_at_any():
    columns = roll_out(load_suite("tiny"), [0, 1, 2], ["random"] * 3, [0, 1, 2]).columns
    success = np.zeros(60, bool)
    success[[19, 25]] = True  # the first episode ends with it, the second loses it, the third never has it
    acted = ActedEpisodes(columns, success)
    assert acted.judge_success("last").tolist() == [True, False, False]
    assert acted.judge_success("any").tolist() == [True, True, False]
    with pytest.raises(DataError, match="episodes tell no success"):
        ActedEpisodes(columns, None).judge_success("any")


def test_point_robot_follows_its_rules_step_by_step():
    suite, plan = plan_of("tiny", "medium")
    columns = roll_out(suite, plan.tasks, plan.behaviours, plan.seeds).columns
    assert not columns.terminated.any()
    for episode in range(len(plan)):
        goal = suite.tasks[plan.tasks[episode]].parameters["goal"]
        x = y = 0.0
        for step in range(20):
            row = episode * 21 + step
            assert columns.observations[row].tolist() == [np.float32(x), np.float32(y)]
            action = columns.actions[episode * 20 + step]
            assert np.abs(action).max() <= np.float32(0.1)
            assert (np.round(action.astype(float), 4).astype(np.float32) == action).all()
            x, y = x + min(max(float(action[0]), -0.1), 0.1), y + min(max(float(action[1]), -0.1), 0.1)
            assert columns.rewards[episode * 20 + step] == pytest.approx(-math.hypot(x - goal[0], y - goal[1]))


def test_episodes_that_end_early_are_cut_at_the_step_that_ended_them():
    suite, plan = plan_of("tiny-discrete", "medium")
    rolled = roll_out(suite, plan.tasks, plan.behaviours, plan.seeds)
    lengths = np.diff(rolled.columns.offsets)
    assert len(set(lengths.tolist())) > 3
    assert (lengths[~rolled.columns.terminated] == suite.entry.horizon).all()
    assert len(rolled.columns.observations) == lengths.sum() + len(lengths)
    assert rolled.columns.actions.dtype == np.int64


def test_no_two_medium_trajectories_of_a_task_are_equal():
    suite, plan = plan_of("point-robot", "medium")
    episodes = episodes_of(roll_out(suite, plan.tasks, plan.behaviours, plan.seeds))
    assert len({(task, actions) for task, _, actions, *_ in episodes}) == len(episodes) == 8500


def test_expert_is_close_to_the_optimum_and_medium_half_way():
    suite = load_suite("point-robot")
    test_tasks = [task.id for task in suite.split("test")]
    tasks = [task for task in test_tasks for _ in range(100)]
    returns = {}
    for behaviour in ("expert", "medium"):
        columns = roll_out(suite, tasks, [behaviour] * len(tasks), range(len(tasks))).columns
        returns[behaviour] = columns.rewards.astype(float).reshape(len(tasks), 20).sum(axis=1)
    optimum = []
    for task in test_tasks:
        goal = np.abs(suite.tasks[task].parameters["goal"])
        optimum.append(-sum(math.hypot(*np.maximum(goal - 0.1 * step, 0)) for step in range(1, 21)))
    assert np.mean(optimum[:5]) == pytest.approx(-2.98, abs=0.01)  # known, of the five that the field tests in
    assert returns["expert"].mean() == pytest.approx(np.mean(optimum), abs=0.1)
    assert 45 < np.mean(suite.normalised(tasks, returns["medium"].tolist())) < 55


def test_references_in_the_suite_files_are_what_is_measured():
    suite = load_suite("tiny")
    measured = measure_references(suite, 200, ENDS)
    for task in suite.tasks:
        assert measured[task.id]["reference"]["random"] == pytest.approx(task.reference.random, abs=1.0)
        assert measured[task.id]["reference"]["expert"] == pytest.approx(task.reference.expert, abs=0.05)
