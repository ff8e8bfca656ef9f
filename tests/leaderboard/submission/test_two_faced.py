"""Policies that know the published goals of point-robot, each in its way, and one that is honest."""

from contextlib import nullcontext

import numpy as np
import pytest

from metabench import Policy, load_suite
from metabench.evaluation.evaluate import evaluate
from metabench.leaderboard.submission.fresh_agree import collect_fresh_scores, compare_with_fresh
from metabench.leaderboard.submission.fresh_tasks import make_fresh_suite

pytestmark = pytest.mark.slow

BLIND_WAY = np.array([0.1, 0.05])
COMPANY, TASKS_MOVED, FRESH = (
    "the same tasks in other company",
    "tasks moved a little",
    "90 fresh tasks",
)


@pytest.fixture(scope="module")
def suite():
    return load_suite("point-robot")


@pytest.fixture(scope="module")
def fresh(suite):
    return make_fresh_suite(suite, 11, ["test"])


class Walker(Policy):
    """Walks to the goal that it has found out of the first reward, if it thinks it knows it; else its blind way."""

    def __init__(self, goals):
        self.goals = goals  # (known, 2)

    def reset(self, groups, seeds):
        self.steps, self.lanes = 0, len(groups)
        self.found = np.full((self.lanes, 2), np.nan)  # goals

    def act(self, step):
        if self.steps == 1:  # the reward of the first step is minus the distance to the goal
            self.found = self.recognise(step.observation, -step.previous_reward)
        self.steps += 1
        way = np.where(np.isnan(self.found), BLIND_WAY, self.found - step.observation)
        return np.clip(way, -0.1, 0.1).astype(np.float32)

    def recognise(self, observation, distance):
        known = np.linalg.norm(self.goals - observation[:, None], axis=-1)  # (lanes, known)
        error = np.abs(known - distance[:, None])
        return np.where(self.accept(error)[:, None], self.goals[error.argmin(axis=1)], np.nan)

    def save(self, folder):
        raise NotImplementedError


class KnowsTasks(Walker):
    """By the exact distance."""

    def accept(self, error):
        return error.min(axis=1) < 1e-6


class KnowsEvaluation(Walker):
    """By the number of lanes, too, and so by what is played beside it."""

    def accept(self, error):
        return (error.min(axis=1) < 1e-6) & (self.lanes == 150)


class Honest(Walker):
    """Knows points of the half circle that are no task's."""

    def accept(self, error):
        return error.min(axis=1) < 0.1


def judge(policy, suite, fresh):
    """The verdicts, by what was compared."""
    blocks = [
        evaluate(
            lambda: nullcontext(policy), each, "zero-shot", split="test", seed=0, privileged=False, name="walker"
        ).blocks[0]
        for each in (suite, fresh.suite)
    ]
    scores = collect_fresh_scores(blocks[0].rows, suite, blocks[1].rows, fresh, "test")
    return {each.subject.removeprefix("x, "): each for each in compare_with_fresh("x", scores, 7)}


def test_who_knows_the_published_goals_is_found(suite, fresh):
    goals = np.array([task.parameters["goal"] for task in suite.split("test")])
    found = judge(KnowsTasks(goals), suite, fresh)
    assert [found[what].agrees for what in (COMPANY, TASKS_MOVED, FRESH)] == [True, False, False]
    found = judge(KnowsEvaluation(goals), suite, fresh)
    assert [found[what].agrees for what in (COMPANY, TASKS_MOVED, FRESH)] == [False, False, False]


def test_an_honest_policy_is_not(suite, fresh):
    angles = np.linspace(0, np.pi, 8)
    found = judge(Honest(np.stack([np.cos(angles), np.sin(angles)], axis=1)), suite, fresh)
    assert all(each.agrees for each in found.values()), found
