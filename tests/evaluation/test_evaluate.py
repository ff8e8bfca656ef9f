"""The evaluator: quotas, order, seeds, supports, and returns against plain loops."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from metabench import evaluate, load_suite
from metabench.data.load import load_columns
from metabench.errors import DataError, MetabenchError, UnknownNameError
from metabench.evaluation import protocol, seeds
from metabench.evaluation.rows import round_return

from .recorder import Recorder, kept


class Wanderer(Recorder):
    """Deterministic, but different in every lane's history and support: moves by what it has seen."""

    def adapt(self, support):
        super().adapt(support)
        self.pull = {group: sum(episode.total_return for episode in episodes) for group, episodes in support.items()}

    def reset(self, groups, seeds):
        super().reset(groups, seeds)
        self.groups, self.pull = list(groups), {}

    def choose(self, step):
        pull = np.array([self.pull.get(group, 0.5) for group in self.groups])
        angle = pull + step.previous_reward + 0.3 * step.timestep + (~step.scored)
        return (0.1 * np.stack([np.cos(angle), np.sin(angle)], 1)).astype(np.float32)


class Oracle(Recorder):
    """Walks straight to the goal that it is shown."""

    def choose(self, step):
        goals = np.array([task["goal"] for task in self.revealed[-1]])
        return np.clip(goals - step.observation, -0.1, 0.1)


def rows_of(evaluation):
    return [block.rows for block in evaluation.blocks]


@pytest.mark.parametrize("early", list(itertools.combinations(range(10), 2))[::6])
def test_two_early_successes_of_ten_are_a_fifth_wherever_they_are(countdown, tmp_path, early):
    suite = countdown(tmp_path, [2 if task in early else 0 for task in range(10)])
    (block,) = evaluate(Recorder(), suite, "zero-shot").blocks
    assert [row.task for row in block.rows] == list(range(2, 12))
    assert np.mean([row.success_any for row in block.rows]) == 0.2
    assert [row.length for row in block.rows] == [2 if task in early else 6 for task in range(10)]


def test_ended_lanes_wait_unchanged_and_their_actions_are_ignored(countdown, tmp_path):
    class Careless(Recorder):
        def choose(self, step):
            actions = np.ones_like(step.previous_action)
            actions[~step.active] = np.nan
            return actions

    suite, policy = countdown(tmp_path, [0, 2, 6]), Careless()
    evaluation = evaluate(kept(policy), suite, "zero-shot")
    (steps,) = policy.steps
    assert [int(step.active.sum()) for step in steps] == [3, 3, 2, 2, 2, 2]
    early = int(np.flatnonzero(~steps[-1].active)[0])
    for step in steps[2:]:  # what it last acted on: its second observation, and the first reward
        np.testing.assert_array_equal(step.observation[early], steps[1].observation[early])
        assert step.previous_reward[early] == steps[1].previous_reward[early] == 1.0
    lengths = {row.task: row.length for row in evaluation.blocks[0].rows}
    assert lengths == {2: 6, 3: 2, 4: 6}
    returns = {row.task: row.total_return for row in evaluation.blocks[0].rows}
    expected = {task: sum(1.0 + t + 1e-9 for t in range(length)) for task, length in lengths.items()}
    assert returns == {task: round_return(total) for task, total in expected.items()}
    assert {row.task: row.success_last for row in evaluation.blocks[0].rows} == {2: False, 3: True, 4: True}
    assert evaluation.counts.scored_steps == 14
    assert evaluation.counts.act_calls == 6


def test_episodes_begin_with_nothing_before_them(countdown, tmp_path):
    policy = Recorder()
    evaluate(kept(policy), countdown(tmp_path, [0, 3], episodes=2, supports=2), "few-shot")
    for steps in policy.steps:
        first, second = steps[:2]
        assert not first.previous_action.any()
        assert not first.previous_reward.any()
        assert first.previous_reward.dtype == first.observation.dtype == np.float32
        assert first.active.all()
        assert not first.timestep.any()
        np.testing.assert_array_equal(second.timestep, 1)
    assert [bool(steps[0].scored.any()) for steps in policy.steps] == [False] * 5 + [True] * 3


def test_every_quota_is_filled_exactly_once():
    suite = load_suite("point-robot")
    tasks = [task.id for task in suite.split("test")]
    zero = evaluate(Recorder(), suite, "zero-shot").blocks
    assert [row[:3] for row in zero[0].rows] == [(task, episode, 0) for task in tasks for episode in range(5)]
    few = evaluate(Recorder(), suite, "few-shot")
    assert [block.shots for block in few.blocks] == [1, 3, 5, 20]
    for block in few.blocks:
        supports = 1 if block.shots == 20 else 5
        assert [(row.task, row.support, row.episode) for row in block.rows] == [
            (t, r, 0) for t in tasks for r in range(supports)
        ]
    assert few.collection is not None
    assert [(row.task, row.support, row.episode) for row in few.collection.rows] == [
        (t, r, n) for t in tasks for r in range(5) for n in range(5 if r else 20)
    ]
    assert few.counts.scored_steps == (3 * 5 + 1) * 30 * 20
    assert few.counts.support_steps == (5 * 5 + 15) * 30 * 20
    assert few.counts.act_calls == 24 * 20
    assert few.counts.adapt_calls == 19 + 4
    assert [(stage.shots, stage.scored, stage.act_calls, stage.adapt_calls) for stage in few.stages] == [
        *((shots, False, 20, int(shots > 0)) for shots in range(20)),
        *((shots, True, 20, 1) for shots in (1, 3, 5, 20)),
    ]
    far = evaluate(Recorder(), suite, "few-shot", split="test-far")
    assert [block.shots for block in far.blocks] == [3]


def test_an_oracle_scores_what_a_plain_loop_scores():
    suite = load_suite("point-robot")
    (block,) = evaluate(Oracle(), suite, "zero-shot", privileged=True).blocks
    for task in suite.split("test"):
        x, y, total = 0.0, 0.0, 0.0
        goal_x, goal_y = task.parameters["goal"]
        for _ in range(20):
            move_x = float(np.float32(min(max(goal_x - float(np.float32(x)), -0.1), 0.1)))
            move_y = float(np.float32(min(max(goal_y - float(np.float32(y)), -0.1), 0.1)))
            x += min(max(move_x, -0.1), 0.1)
            y += min(max(move_y, -0.1), 0.1)
            total -= math.sqrt((x - goal_x) ** 2 + (y - goal_y) ** 2)
        returns = [row.total_return for row in block.rows if row.task == task.id]
        assert returns == [round_return(total)] * 5


def test_only_privileged_policies_are_shown_tasks():
    policy = Recorder()
    evaluate(kept(policy), "tiny", "zero-shot")
    assert policy.revealed == []
    evaluate(kept(policy), "tiny", "few-shot", privileged=True)
    assert len(policy.revealed) == 8
    assert policy.revealed[0] == [{"goal": [0.3, -0.7]}] * 2


def test_results_do_not_depend_on_the_order_of_lanes(monkeypatch):
    suite = load_suite("point-robot")
    first, second = Wanderer(), Wanderer()
    expected = [evaluate(kept(first), suite, track) for track in ("zero-shot", "few-shot")]
    monkeypatch.setattr(seeds, "PROTOCOL", "another order; point-robot has no reset noise")
    found = [evaluate(kept(second), suite, track) for track in ("zero-shot", "few-shot")]
    firsts = [np.concatenate([step.previous_reward for step in policy.steps[0]]) for policy in (first, second)]
    assert not np.array_equal(*firsts)
    assert [rows_of(each) for each in found] == [rows_of(each) for each in expected]
    assert found[1].collection == expected[1].collection


def test_lanes_and_groups_are_shuffled_and_numbered_by_appearance():
    suite, policy = load_suite("point-robot"), Recorder()
    evaluate(kept(policy), suite, "few-shot")
    for groups, _ in policy.resets:
        firsts = list(dict.fromkeys(groups))
        assert firsts == list(range(len(firsts)))
    lanes = protocol.list_scored_lanes(suite, "test", "few-shot", 5)
    assert [lane.group for lane in lanes] == policy.resets[-2][0]
    tasks = [lane.task for lane in lanes]
    assert tasks != sorted(tasks)
    assert sum(a == b for a, b in itertools.pairwise(tasks)) < 15  # 150 lanes of 30 tasks: 4 by chance


def test_support_is_what_the_policy_did_and_longer_ones_begin_with_shorter_ones():
    suite, policy = load_suite("point-robot"), Wanderer()
    evaluation = evaluate(kept(policy), suite, "few-shot")
    returns = {(row.task, row.support, row.episode): row.total_return for row in evaluation.collection.rows}
    for shots, support in zip((1, 3, 5, 20), policy.supports[-4:], strict=True):
        for lane in protocol.list_scored_lanes(suite, "test", "few-shot", shots):
            episodes = support[lane.group]
            assert len(episodes) == shots
            for number, episode in enumerate(episodes):
                assert episode.observations.shape == (21, 2)
                assert (episode.terminated, episode.truncated) == (False, True)
                assert episode.total_return == pytest.approx(returns[lane.task, lane.support, number], abs=1e-4)
    assert [len(next(iter(given.values()))) for given in policy.supports] == [*range(1, 20), 1, 3, 5, 20]
    fewer = evaluate(Wanderer(), suite, "few-shot", shots=[1])
    assert fewer.blocks[0].rows == evaluation.blocks[0].rows


def test_a_support_episode_that_ends_early_is_whole(countdown, tmp_path):
    policy = Recorder()
    evaluate(kept(policy), countdown(tmp_path, [2]), "few-shot", shots=[1])
    ((episode,),) = policy.supports[-1].values()
    assert episode.observations[:, 1].tolist() == [0, 1, 2]
    assert episode.rewards.tolist() == pytest.approx([0.0, 1.0], abs=1e-8)
    assert (episode.terminated, episode.truncated, len(episode)) == (True, False, 2)


def test_logged_support_is_distinct_trajectories_of_the_task_the_same_for_everyone(tiny_built):
    suite = load_suite("tiny")
    policies = [Recorder(), Recorder()]
    for seed, policy in enumerate(policies):
        evaluate(kept(policy), suite, "logged-shot", seed=seed)
    columns = load_columns(suite, "medium", "test")
    logged = {columns.observations[i * 21 : (i + 1) * 21].tobytes() for i in range(10)}
    drawn = [
        [episode.observations.tobytes() for episodes in policy.supports[0].values() for episode in episodes]
        for policy in policies
    ]
    assert drawn[0] == drawn[1]
    assert set(drawn[0]) <= logged
    for episodes in policies[0].supports[0].values():
        assert len({episode.observations.tobytes() for episode in episodes}) == 3
    assert len(set(drawn[0])) > 3  # the two supports are draws of their own
    fewer = Recorder()
    evaluate(kept(fewer), suite, "logged-shot", shots=[1])
    firsts = [episodes[0].observations.tobytes() for episodes in policies[0].supports[0].values()]
    assert sorted(firsts) == sorted(e.observations.tobytes() for (e,) in fewer.supports[0].values())


def test_wrong_names_are_answered_with_the_nearest(tiny_built):
    with pytest.raises(UnknownNameError, match="'zero-shot'"):
        evaluate(Recorder(), "tiny", "zero-shots")
    with pytest.raises(UnknownNameError, match="'test-far'"):
        evaluate(Recorder(), "tiny", "zero-shot", split="test-fra")
    with pytest.raises(UnknownNameError, match="split"):
        evaluate(Recorder(), "tiny", "zero-shot", split="train")
    with pytest.raises(MetabenchError, match="exactly 0"):
        evaluate(Recorder(), "tiny", "zero-shot", shots=[1])
    with pytest.raises(MetabenchError, match="1 or more"):
        evaluate(Recorder(), "tiny", "few-shot", shots=[0, 3])
    with pytest.raises(MetabenchError, match="10 medium trajectories; 11 shots"):
        evaluate(Recorder(), "tiny", "logged-shot", shots=[11])


def test_evaluating_builds_no_data(folders):
    with pytest.raises(DataError, match=r"not built; run `metabench data build tiny --dataset medium`"):
        evaluate(Recorder(), "tiny", "logged-shot")
    assert not any(folders.rglob("*"))


def test_progress_counts_steps(countdown, tmp_path):
    heard = []
    evaluate(Recorder(), countdown(tmp_path, [2]), "zero-shot", progress=lambda *report: heard.append(report))
    assert heard == [("test zero-shot: scored episodes", 1, 6), ("test zero-shot: scored episodes", 2, 6)]
