"""Lanes are independent: both published cheats gain nothing or are found, honest policies pass, and counts say so."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest

from metabench import Policy, evaluate, load_method, load_suite
from metabench.errors import DependentLanesError
from metabench.evaluation.independence import FEW_LANES, Replay, choose_replay, list_replays
from metabench.evaluation.protocol import list_supported_tracks

pytestmark = pytest.mark.slow


ZERO, ONE = Replay(0, scored=True), Replay(1, scored=True)


class Walker(Policy):
    """Looks for the goal by itself: in each lane by what the lane has seen, and by its support."""

    def reset(self, groups, seeds):
        self.groups, self.support = list(groups), {}
        self.generators = [np.random.default_rng(seed) for seed in seeds]
        self.pull = np.zeros((len(groups), 2))

    def adapt(self, support):
        self.support = dict(support)
        for lane, group in enumerate(self.groups):
            self.pull[lane] = self.find_best(support[group])

    def find_best(self, episodes):
        rewards = np.concatenate([episode.rewards for episode in episodes])
        return np.concatenate([episode.observations[1:] for episode in episodes])[rewards.argmax()]

    def act(self, step):
        noise = np.stack([generator.uniform(-0.1, 0.1, 2) for generator in self.generators])
        towards = self.pull - step.observation if self.support else 0.0
        return np.clip(noise + towards, -0.1, 0.1).astype(np.float32)

    def save(self, folder):
        raise NotImplementedError


class Matcher(Walker):
    """Reads the support of every group whose first episode is its own one's: a '1-shot' row that uses five."""

    def adapt(self, support):
        first = {group: episodes[0].observations.tobytes() for group, episodes in support.items()}
        pooled = {
            group: [each for other in support if first[other] == first[group] for each in support[other]]
            for group in support
        }
        super().adapt(pooled)


class Pooler(Walker):
    """All lanes with the same first reward, so of the same task, go where one of them was best."""

    def reset(self, groups, seeds):
        super().reset(groups, seeds)
        self.best = {}

    def act(self, step):
        timestep = int(step.timestep[0])
        if timestep == 0:  # the same step in all lanes, so that first rewards tell tasks
            return np.full_like(step.previous_action, 0.1)
        if timestep == 1:
            self.tasks = [float(reward) for reward in step.previous_reward]
        for lane, task in enumerate(self.tasks):
            seen = (float(step.previous_reward[lane]), tuple(step.observation[lane]))
            self.best[task] = max(self.best.get(task, seen), seen)
        goals = np.array([self.best[task][1] for task in self.tasks])
        return np.clip(goals - step.observation + super().act(step), -0.1, 0.1).astype(np.float32)


class SupportPooler(Walker):
    """Groups read each other's support."""

    def adapt(self, support):
        super().adapt(support)
        self.pull[:] = self.pull.mean(axis=0)


class Late(Walker):
    """Shares in its last steps only."""

    def act(self, step):
        actions = super().act(step)
        return actions if step.timestep[0] < 15 else (0.1 * np.tanh(step.observation.mean(axis=0)) + 0 * actions)


def opened(kind):
    return lambda: nullcontext(kind())


def mean_of(block):
    return np.mean([row.total_return for row in block.rows])


def test_matching_groups_by_their_first_episode_gains_nothing():
    honest, cheat = (evaluate(opened(kind), "point-robot", "few-shot") for kind in (Walker, Matcher))
    assert cheat.blocks == honest.blocks
    returns = [mean_of(block) for block in honest.blocks]
    assert returns[2] > returns[0] + 1.0, "more support must help this policy, or there is nothing to gain"


def test_lanes_that_pool_their_steps_gain_much_and_are_found():
    honest, cheat = (evaluate(opened(kind), "point-robot", "zero-shot").blocks[0] for kind in (Walker, Pooler))
    assert mean_of(cheat) > mean_of(honest) + 3.0
    expected = r"method 'pooler': its lanes are not independent: test zero-shot: scored episodes, task \d+, step \d+: "
    with pytest.raises(DependentLanesError, match=expected):
        evaluate(opened(Pooler), "point-robot", "zero-shot", name="pooler", replays=[ZERO])


def test_groups_that_read_each_others_support_are_found():
    with pytest.raises(DependentLanesError, match=r"few-shot: 1 shot, task \d+, step 0"):
        evaluate(opened(SupportPooler), "point-robot", "few-shot", replays=[ONE])
    with pytest.raises(DependentLanesError, match=r"few-shot: support episode 2, task"):
        evaluate(opened(SupportPooler), "point-robot", "few-shot", replays=[Replay(1, scored=False)])


def test_first_steps_do_not_find_late_sharing_but_whole_episodes_do():
    early = evaluate(opened(Late), "point-robot", "zero-shot", replays=[Replay(0, scored=True, share=0.5)])
    assert early.counts.replayed_steps == 15 * 10
    with pytest.raises(DependentLanesError, match="step 15"):
        evaluate(opened(Late), "point-robot", "zero-shot", replays=[ZERO])


@pytest.mark.parametrize("track", ["zero-shot", "few-shot", "logged-shot"])
def test_an_honest_policy_passes_whatever_is_replayed(track, tiny_built):
    suite = load_suite("tiny")
    plain = evaluate(opened(Walker), suite, track)
    found = evaluate(opened(Walker), suite, track, replays=list_replays(suite, "test", track))
    assert (found.blocks, found.collection) == (plain.blocks, plain.collection)
    replays = {"zero-shot": 1, "few-shot": 8, "logged-shot": 1}[track]
    assert (found.counts.replayed_lanes, found.counts.replayed_steps) == (replays, replays * 20)
    assert (plain.counts.replayed_lanes, plain.counts.replayed_steps) == (0, 0)
    # Replays act no simulator, and are in no other count.
    unreplayed = {"replayed_lanes": 0, "replayed_steps": 0}
    assert found.counts.model_copy(update=unreplayed) == plain.counts


def test_episodes_that_end_are_replayed_as_long_as_they_were(countdown, tmp_path):
    suite = countdown(tmp_path, [2, 2, 4, 0], episodes=2, supports=2)
    shapes = []

    class Watching(Policy):
        """Acts by its own observation; notes what could change last bits."""

        def reset(self, groups, seeds):
            self.noted = [len(groups)]
            shapes.append(self.noted)

        def adapt(self, support):
            self.noted.append({group: [len(each) for each in episodes] for group, episodes in support.items()})

        def act(self, step):
            self.noted.append(step.active.tolist())
            return np.tanh(step.observation[:, :1])

        def save(self, folder):
            raise NotImplementedError

    for shots in (1, 3):
        shapes.clear()
        found = evaluate(opened(Watching), suite, "few-shot", shots=[shots], replays=[Replay(shots, scored=True)])
        assert found.counts.replayed_lanes == 2
        first, again = shapes[-2:]
        assert again == first[: len(again)]


class Following(Policy):
    """Every lane does what the first one saw."""

    def reset(self, groups, seeds):
        pass

    def act(self, step):
        return np.full_like(step.previous_action, step.observation[0, 0])

    def save(self, folder):
        raise NotImplementedError


def test_where_all_lanes_are_of_one_task_the_others_see_what_the_compared_one_saw(countdown, tmp_path):
    many = countdown(tmp_path, [0], episodes=4, supports=2)
    with pytest.raises(DependentLanesError):
        for seed in range(4):  # one of them compares another lane than the first
            evaluate(opened(Following), many, "zero-shot", seed=seed, replays=[ZERO])
    (tmp_path / "one").mkdir()
    one = countdown(tmp_path / "one", [0])
    assert evaluate(opened(Following), one, "zero-shot", replays=[ZERO]).counts.replayed_lanes == 0


def test_a_run_replays_one_rollout_in_a_third_of_the_cells_one_with_support():
    suite = load_suite("point-robot")
    pairs = list_supported_tracks(suite)
    chosen = [choose_replay(suite, pairs, seed) for seed in range(400)]
    assert chosen == [choose_replay(suite, pairs, seed) for seed in range(400)]
    assert all((split, track) in pairs for split, track, _ in chosen)
    every = {(*pair, replay.shots, replay.scored) for pair in pairs for replay in list_replays(suite, *pair)}
    assert {(split, track, each.shots, each.scored) for split, track, each in chosen} == every
    assert 100 < sum(each.shots > 0 for _, _, each in chosen) < 167  # 4.5 deviations
    assert {each.lanes for *_, each in chosen} == {FEW_LANES}
    assert choose_replay(suite, [("test", "zero-shot")], 1)[2].shots == 0  # whatever the draw


@pytest.mark.parametrize("suite", ["tiny", "tiny-discrete"])
@pytest.mark.parametrize("method", ["bc", "prompt-dt", "kernel-model"])
def test_built_in_methods_pass(suite, method, folders):
    from metabench import TrainingRun, load_data

    loaded = load_suite(suite)
    trained = load_method(method, preset="tiny", suite=suite).train(load_data(loaded, "medium"), TrainingRun(0))
    for split, track in list_supported_tracks(loaded):
        replays = list_replays(loaded, split, track)
        found = evaluate(trained, loaded, track, split=split, replays=replays)
        tasks = len(loaded.split(split))
        assert found.counts.replayed_lanes == len(replays) * max(1, tasks // 2)
