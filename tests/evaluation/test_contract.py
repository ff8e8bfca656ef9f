"""A policy that breaks its contract is stopped with a line that names method, lane and step."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
import torch

from metabench import MethodError, Policy, evaluate


class Scripted(Policy):
    """Acts by `choose(step)`; everything else can be made to fail."""

    def __init__(self, choose=None, fail=""):
        self.choose = choose or (lambda step: np.zeros_like(step.previous_action))
        self.fail = fail

    def reset(self, groups, seeds):
        if self.fail == "reset":
            raise RuntimeError("no reset today")

    def adapt(self, support):
        if self.fail == "adapt":
            raise KeyError("missing")

    def act(self, step):
        if self.fail == "act" and step.timestep[0] == 3:
            raise ZeroDivisionError("division by zero")
        return self.choose(step)

    def save(self, folder):
        raise NotImplementedError


def broken_lane(value, lane=1, timestep=2):
    def choose(step):
        actions = np.zeros_like(step.previous_action)
        if step.timestep[0] == timestep:
            actions[lane] = value
        return actions

    return choose


@pytest.mark.parametrize(
    ("choose", "expected"),
    [
        (lambda step: np.zeros((2, 3), np.float32), r"'mine', step 0: .* shape \(2, 2\), not \(2, 3\)"),
        (lambda step: np.zeros(2, np.float32), r"step 0: .* shape \(2, 2\), not \(2,\)"),
        (lambda step: np.zeros((2, 2), np.int64), r"step 0: .* floats, not int64"),
        (lambda step: np.zeros((2, 2), object), r"step 0: .* floats, not object"),
        (lambda step: torch.zeros(2, 2), r"NumPy array, not Tensor"),
        (lambda step: None, r"NumPy array, not NoneType"),
        (broken_lane(np.nan), r"'mine', lane 1, step 2: .*nan.* is not finite"),
        (broken_lane(-np.inf), r"lane 1, step 2: .*inf.* is not finite"),
        (broken_lane(0.1001), r"lane 1, step 2: .*0\.1001.* out of bounds \[-0\.1, -0\.1\] to \[0\.1, 0\.1\]"),
    ],
)
def test_wrong_continuous_actions(choose, expected):
    with pytest.raises(MethodError, match=expected):
        evaluate(Scripted(choose), "tiny", "zero-shot", name="mine")


@pytest.mark.parametrize(
    ("choose", "expected"),
    [
        (lambda step: np.zeros(2, np.float32), r"step 0: .* integers, not float32"),
        (lambda step: np.zeros(2, bool), r"step 0: .* integers, not bool"),
        (lambda step: np.zeros((2, 3), np.int64), r"shape \(2,\), not \(2, 3\)"),
        (broken_lane(3), r"lane 1, step 2: action 3 is not in 0 to 2"),
        (broken_lane(-1), r"lane 1, step 2: action -1 is not in 0 to 2"),
    ],
)
def test_wrong_discrete_actions(choose, expected):
    with pytest.raises(MethodError, match=expected):
        evaluate(Scripted(choose), "tiny-discrete", "zero-shot")


def test_actions_just_out_of_bounds_are_clipped():
    far = evaluate(Scripted(lambda step: np.full((2, 2), 0.1 + 9e-7)), "tiny", "zero-shot")
    at_bound = evaluate(Scripted(lambda step: np.full((2, 2), 0.1)), "tiny", "zero-shot")
    assert far.blocks == at_bound.blocks


@pytest.mark.parametrize(
    ("fail", "cause", "expected"),
    [
        ("reset", RuntimeError, r"'Scripted': reset raised RuntimeError: no reset today"),
        ("adapt", KeyError, r"'Scripted': adapt raised KeyError"),
        ("act", ZeroDivisionError, r"'Scripted': act at step 3 raised ZeroDivisionError: division by zero"),
    ],
)
def test_exceptions_are_named_and_chained(fail, cause, expected):
    with pytest.raises(MethodError, match=expected) as caught:
        evaluate(Scripted(fail=fail), "tiny", "few-shot")
    assert isinstance(caught.value.__cause__, cause)


class Vandal(Scripted):
    """Walks to the right, and overwrites everything that it is given or has returned."""

    def __init__(self):
        super().__init__()
        self.given = []

    def reset(self, groups, seeds):
        groups.clear()
        seeds.clear()

    def reveal(self, tasks):
        for task in tasks:
            task["goal"][0] = 1e9
            task.clear()

    def adapt(self, support):
        for episodes in support.values():
            for episode in episodes:
                self.given.append(episode.observations.copy())
                episode.observations[:], episode.actions[:], episode.rewards[:] = 7, 7, 7

    def act(self, step):
        if hasattr(self, "last"):
            self.last[:] = 7
        for field in ("observation", "previous_action", "previous_reward", "timestep", "active", "scored"):
            getattr(step, field)[:] = 0
        self.last = np.full((len(step.active), 2), 0.05, np.float32)
        return self.last


def test_a_policy_cannot_change_what_the_evaluator_knows():
    vandal = Vandal()
    honest = Scripted(lambda step: np.full(step.previous_action.shape, 0.05, np.float32))
    found = evaluate(lambda: nullcontext(vandal), "tiny", "few-shot", privileged=True)
    expected = evaluate(honest, "tiny", "few-shot")
    assert (found.blocks, found.collection) == (expected.blocks, expected.collection)
    walked = 0.05 * np.arange(21, dtype=np.float32)
    for observations in vandal.given:
        np.testing.assert_allclose(observations, np.stack([walked, walked], 1), atol=1e-6)
