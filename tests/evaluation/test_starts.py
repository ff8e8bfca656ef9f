"""Starts are common to all tracks, nothing passes from one rollout to another, validation tasks are for development."""

from __future__ import annotations

import numpy as np
import pytest

from metabench import evaluate, load_suite
from metabench.errors import MethodError, UnknownNameError
from metabench.evaluation import protocol

from .recorder import Recorder, kept


def test_reset_noise_is_the_same_for_every_method_and_seed_but_not_for_every_episode(countdown, tmp_path):
    suite = countdown(tmp_path, [0, 3], episodes=4, supports=2)
    policies = [Recorder(), Recorder()]
    evaluate(kept(policies[0]), suite, "few-shot", seed=0)
    mine, countdown.resets[:] = list(countdown.resets), []
    evaluate(kept(policies[1]), suite, "few-shot", seed=1)
    assert mine == countdown.resets
    lanes = [
        (lane.task, protocol.number_start(suite, lane))
        for lane in protocol.list_scored_lanes(suite, "test", "few-shot", 3)
    ]
    starts = dict(zip(lanes, mine[-1][1], strict=True))
    assert len(set(starts.values())) == 2 * 4  # tasks, starts
    assert mine[-1] == mine[-2] == mine[-3]  # all shot counts
    assert len({seed for _, episode in mine[:-3] for seed in episode}) == 2 * 2 * 5
    assert not set(starts.values()) & {seed for _, episode in mine[:-3] for seed in episode}
    countdown.resets[:] = []
    evaluate(Recorder(), suite, "zero-shot")
    assert countdown.resets == mine[-1:]
    seen = [{seed for _, given in policy.resets for seed in given} for policy in policies]
    assert not seen[0] & seen[1]
    assert all(len(set(given)) == len(given) for policy in policies for _, given in policy.resets)


class Blind(Recorder):
    """Moves by what it sees now and by its lane's seed: it cannot adapt."""

    def reset(self, groups, seeds):
        self.generators = [np.random.default_rng(seed) for seed in seeds]

    def adapt(self, support):
        pass

    def act(self, step):
        drawn = np.stack([generator.uniform(-0.5, 0.5, 1) for generator in self.generators])
        return (drawn + step.observation[:, :1]).astype(np.float32)


def test_a_policy_that_cannot_adapt_does_not_seem_to(countdown, tmp_path):
    suite = countdown(tmp_path, [0, 3], episodes=4, supports=2)
    tracks = [("zero-shot", [0]), *(("few-shot", [shots]) for shots in (1, 3, 5)), ("few-shot", [1, 3, 5])]
    found = [block.rows for track, shots in tracks for block in evaluate(Blind(), suite, track, shots=shots).blocks]
    returns = [[(row.task, row.total_return) for row in sorted(rows)] for rows in found]
    assert all(each == returns[0] for each in returns)
    assert len({value for _, value in returns[0]}) == 2 * 4  # each start is another


def test_nothing_passes_from_one_rollout_to_another():
    class Counting(Recorder):
        """Steps further the more rollouts it has seen."""

        def choose(self, step):
            return np.full_like(step.previous_action, 0.01 * len(self.resets))

    few = evaluate(Counting(), "tiny", "few-shot")
    alone = [evaluate(Counting(), "tiny", "few-shot", shots=[shots]).blocks[0].rows for shots in (1, 3, 5)]
    assert [block.rows for block in few.blocks] == alone
    assert len({tuple(row.total_return for row in rows) for rows in alone}) == 1


def test_a_policy_that_cannot_be_copied_is_told_what_is_expected():
    class Uncopyable(Recorder):
        def __deepcopy__(self, memo):
            raise TypeError("it holds a process")

    with pytest.raises(
        MethodError, match=r"'mine': the policy cannot be copied \(TypeError: it holds .*: expected a function"
    ):
        evaluate(Uncopyable(), "tiny", "zero-shot", name="mine")
    assert evaluate(kept(Uncopyable()), "tiny", "zero-shot").blocks


def test_validation_tasks_are_acted_in_for_development(tiny_built):
    suite = load_suite("tiny")
    tasks = {task.id for task in suite.split("train") if task.validation}
    for track, shots in (("zero-shot", [0]), ("few-shot", [1, 3, 5]), ("logged-shot", [3])):
        found = evaluate(Recorder(), suite, track, split="validation")
        assert [block.shots for block in found.blocks] == shots
        assert {row.task for block in found.blocks for row in block.rows} == tasks
        assert (found.counts.scored_steps, found.counts.support_steps) == (0, 0)
        rows = [row for block in found.blocks for row in block.rows]
        rows += found.collection.rows if found.collection else []
        assert found.counts.development_steps == sum(row.length for row in rows) > 0
    with pytest.raises(UnknownNameError, match="cheetah-dir 'validation'"):
        evaluate(Recorder(), "cheetah-dir", "zero-shot", split="validation")
