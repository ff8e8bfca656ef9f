"""The track `prediction`: what is predicted, what a policy is given, and errors against an independent computation."""

from __future__ import annotations

import numpy as np
import pytest

from metabench import (
    MetabenchError,
    MethodError,
    Policy,
    Prediction,
    UnknownNameError,
    build_data,
    compute_error,
    evaluate_predictions,
    load_data,
    load_suite,
)
from metabench.evaluation.logged_supports import load_logged_supports
from metabench.evaluation.prediction.errors import compute_condition_errors, compute_share_inside, compute_task_errors
from metabench.evaluation.prediction.held_out import HeldOut, HeldOutLane, load_held_out
from metabench.evaluation.prediction.tally import Tally
from metabench.evaluation.prediction.units import PredictionUnits
from metabench.methods.contract import Episode

pytestmark = pytest.mark.usefixtures("tiny_built")


class World(Policy):
    """Says what `say` makes of (prefix, actions), and writes down what it was given."""

    def __init__(self, say):
        self.say, self.resets, self.supports, self.prefixes = say, [], [], []

    def __deepcopy__(self, memo):
        return self  # so that all that it was told can be read

    def reset(self, groups, seeds):
        self.resets.append((list(groups), list(seeds)))

    def adapt(self, support):
        self.supports.append(support)

    def act(self, step):
        raise AssertionError("nothing acts in this track")

    def predict(self, prefix, actions):
        self.prefixes.append((prefix, actions))
        return self.say(prefix, actions)

    def save(self, folder):
        raise NotImplementedError


def stay(prefix, actions, reward=0.0, shift=0.0):
    """Nothing changes, but for `shift`."""
    last = np.stack([episode.observations[-1] for episode in prefix]).astype(np.float64)
    steps = actions.shape[1]
    observations = np.repeat(last[:, None], steps, axis=1) + shift
    flat = np.full((len(prefix), steps), reward)
    return Prediction(observations, flat, np.zeros(flat.shape, bool))


def mean_reward():
    return float(load_data("tiny", "medium").columns.rewards.mean(dtype=np.float64))


def test_the_controls_have_errors_of_one():
    found = evaluate_predictions(World(lambda *given: stay(*given, reward=mean_reward())), "tiny").predictions
    assert found.shots == (0, 1, 3)
    for what in ("observations", "rewards"):
        for shots in found.shots:
            for steps in (1, 5, 15):
                assert compute_error(found, what, shots, steps) == pytest.approx(1.0, abs=1e-3)
                assert compute_task_errors(found, what, shots, steps) == pytest.approx([1.0], abs=1e-3)


@pytest.mark.slow
def test_errors_are_those_of_a_plain_loop():
    shift, suite = np.array([0.05, -0.02]), load_suite("tiny")
    found = evaluate_predictions(World(lambda *given: stay(*given, reward=-1.0, shift=shift)), suite).predictions
    data = load_data(suite, "medium")
    changes = np.concatenate(
        [
            np.diff(data.columns.episode(number).observations.astype(np.float64), axis=0)
            for number in range(data.num_episodes)
        ]
    )
    for steps in found.steps:
        sums = np.zeros(4)
        for lane in load_held_out(suite, "test", 3).lanes:
            episode = lane.episode
            for prefix in (0, 4, 16):
                if prefix + steps > len(episode):
                    continue
                gone = episode.observations[prefix + steps].astype(float) - episode.observations[prefix]
                earned = float(episode.rewards[prefix + steps - 1])
                sums += [
                    (((shift - gone) / changes.std(axis=0)) ** 2).sum(),
                    ((gone / changes.std(axis=0)) ** 2).sum(),
                    (-1.0 - earned) ** 2,
                    (mean_reward() - earned) ** 2,
                ]
        assert compute_error(found, "observations", 0, steps) == pytest.approx(np.sqrt(sums[0] / sums[1]), rel=1e-2)
        assert compute_error(found, "rewards", 3, steps) == pytest.approx(np.sqrt(sums[2] / sums[3]), rel=1e-2)


def test_conditions_and_tasks_are_of_the_same_pairs():
    found = evaluate_predictions(World(stay), "tiny").predictions
    assert sum(found.by_task.pairs) == sum(found.by_condition.pairs) > 0
    assert sum(found.by_task.rewards[1]) == pytest.approx(sum(found.by_condition.rewards[1]), rel=1e-2)
    errors = compute_condition_errors(found, "rewards", 0, 5)
    assert set(errors) == {(each, prefix) for each in ("random", "medium", "expert") for prefix in (0, 4, 16)}
    assert errors["medium", 16] is None, "16 steps and 5 are more than the horizon of 20"


def test_nothing_predicted_is_in_a_support():
    suite = load_suite("tiny")
    supports = load_logged_supports(suite, "test", 3)
    shown = {episode.observations.tobytes() for episodes in supports.values() for episode in episodes}
    held_out = load_held_out(suite, "test", 3)
    assert shown and len(held_out.lanes) > 0
    assert not shown & {lane.episode.observations.tobytes() for lane in held_out.lanes}
    given = {each.observations.tobytes() for episodes in held_out.supports.values() for each in episodes}
    assert given <= shown, "they are those of logged-shot"


def test_a_policy_sees_the_beginning_and_what_is_done_next():
    world = World(stay)
    evaluate_predictions(world, "tiny", shots=[0, 3])
    lanes = load_held_out(load_suite("tiny"), "test", 3).lanes
    assert [len(prefix[0]) for prefix, _ in world.prefixes] == [0, 4, 16] * 2
    for prefix, actions in world.prefixes:
        seen = len(prefix[0])
        assert actions.shape == (len(lanes), 1 if seen == 16 else 15, 2)
        for lane, given, done in zip(lanes, prefix, actions, strict=True):
            assert not given.terminated and not given.truncated
            assert len(given.observations) == seen + 1
            assert np.array_equal(given.rewards, lane.episode.rewards[:seen])
            assert np.array_equal(done, lane.episode.actions[seen : seen + len(done)])
    (alone, _), (grouped, _) = world.resets
    assert len(set(alone)) == len(lanes), "without support no two lanes have anything in common"
    assert len(set(grouped)) == 2, "as many as the task has supports"
    (support,) = world.supports
    assert all(len(episodes) == 3 for episodes in support.values())


@pytest.mark.slow
def test_pairs_beyond_an_end_are_left_out_and_counted(folders):
    for dataset in ("random", "medium", "expert"):
        build_data("tiny-discrete", dataset)
    found = evaluate_predictions(World(stay), "tiny-discrete").predictions
    suite = load_suite("tiny-discrete")
    lengths = [len(lane.episode) for lane in load_held_out(suite, "test", 3).lanes]
    horizon, pairs, beyond = suite.spaces.horizon, 0, 0
    for prefix in (0, 4, 16):
        for steps in (1, 5, 15):
            if prefix + steps <= horizon:
                inside = sum(prefix + steps <= length for length in lengths)
                pairs, beyond = pairs + inside, beyond + len(lengths) - inside
    assert (sum(found.by_task.pairs), found.left_out) == (pairs, beyond)
    assert beyond > 0


def make_cells():
    """Two lanes that walk one cell a step, and what is told of them."""
    walk = np.arange(7, dtype=np.float32)[:, None]
    episode = Episode(walk, np.zeros(6, np.int64), np.zeros(6, np.float32), terminated=False, truncated=True)
    lanes = tuple(HeldOutLane(task=task, behaviour=0, support=0, episode=episode) for task in (3, 5))
    return Tally(HeldOut(("medium",), lanes, {}), PredictionUnits(np.ones(1), 0.0, cells=True), 1, 6)


def test_cells_are_right_or_wrong_once_rounded():
    tally = make_cells()
    right, near = np.arange(1.0, 6.0), np.arange(1.0, 6.0) + 0.4
    wrong = right + np.array([0.0, 0.0, 0.0, 0.0, 3.0])
    said = np.stack([near, wrong])[..., None]
    tally.add(0, 0, np.array([0, 1]), Prediction(said, np.zeros((2, 5)), np.zeros((2, 5), bool)))
    found = tally.make_predictions("test", (0,))
    assert compute_error(found, "observations", 0, 1) == 0.0
    assert compute_error(found, "observations", 0, 5) == 0.5, "a rate, no root"
    assert compute_task_errors(found, "observations", 0, 5) == (0.0, 1.0)
    assert compute_error(found, "rewards", 0, 1) is None, "the control makes no error"


def test_dimensions_without_change_are_left_out():
    walk = np.stack([np.arange(7.0), np.full(7, 4.0)], 1).astype(np.float32)
    episode = Episode(walk, np.zeros(6, np.int64), np.ones(6, np.float32), terminated=False, truncated=True)
    units = PredictionUnits(np.array([2.0, 0.0]), 0.0, cells=False)
    tally = Tally(HeldOut(("medium",), (HeldOutLane(0, 0, 0, episode),), {}), units, 1, 6)
    said = np.zeros((1, 5, 2))  # the second dimension is off by 4
    tally.add(0, 0, np.array([0]), Prediction(said, np.ones((1, 5)), np.zeros((1, 5))))
    found = tally.make_predictions("test", (0,))
    assert found.by_task.observations == ((0.25, 6.25),), "(1 / 2)² and (5 / 2)²"
    assert compute_error(found, "observations", 0, 5) == 1.0
    assert compute_error(found, "rewards", 0, 5) == 0.0


@pytest.mark.parametrize(("width", "share"), [(1e3, 1.0), (0.0, 0.0)])
def test_calibration_is_the_share_of_outcomes_inside(width, share):
    def say(prefix, actions):
        said = stay(prefix, actions, reward=5.0, shift=0.5)
        return Prediction(
            said.observations,
            said.rewards,
            said.ends,
            np.full(said.observations.shape, width),
            np.full(said.rewards.shape, width),
        )

    found = evaluate_predictions(World(say), "tiny", shots=[0]).predictions
    for what in ("observations", "rewards"):
        assert [compute_share_inside(found, what, 0, 1, central) for central in (50, 90)] == [share, share]
    none = evaluate_predictions(World(stay), "tiny", shots=[0]).predictions
    assert none.calibration is None
    assert compute_share_inside(none, "rewards", 0, 1, 50) is None


def change(**arrays):
    def say(prefix, actions):
        said = vars(stay(prefix, actions))
        return Prediction(**{**said, **{name: make(said) for name, make in arrays.items()}})

    return say


def put(name, value, lane=2, step=3):
    def make(said):
        changed = np.array(said[name], np.float64)
        changed[lane, step] = value
        return changed

    return make


@pytest.mark.parametrize(
    ("say", "line"),
    [
        (lambda *given: None, "'wrong': predict must return a Prediction, not NoneType"),
        (
            change(rewards=lambda said: said["rewards"][:, :9]),
            "'wrong': predict must return rewards of 15 steps, not 9",
        ),
        (
            change(observations=lambda said: said["observations"][..., :1]),
            r"'wrong': predict must return observations of shape \(12, 15, 2\), not \(12, 15, 1\)",
        ),
        (
            change(rewards=lambda said: said["rewards"].astype(np.int64)),
            "'wrong': predict must return rewards as floats, not int64",
        ),
        (
            change(rewards=put("rewards", np.nan)),
            "'wrong', lane 2, step 4: predict: rewards: expected a finite number, found nan",
        ),
        (
            change(observations=put("observations", np.inf)),
            "'wrong', lane 2, step 4: predict: observations: expected a finite number, found inf",
        ),
        (
            change(ends=put("ends", 1.5)),
            "'wrong', lane 2, step 4: predict: ends: expected a probability, found 1.5",
        ),
        (
            change(reward_deviations=put("rewards", -1.0)),
            "'wrong', lane 2, step 4: predict: reward_deviations: expected a finite number of 0 or more, found -1",
        ),
    ],
)
def test_a_wrong_prediction_gets_one_line(say, line):
    lanes = len(load_held_out(load_suite("tiny"), "test", 0).lanes)
    with pytest.raises(MethodError, match=f"^method {line.replace('12', str(lanes))}$"):
        evaluate_predictions(World(say), "tiny", name="wrong")


def test_what_predict_raises_is_named():
    def say(prefix, actions):
        raise RuntimeError("no idea")

    raised = r"^method 'wrong': predict raised RuntimeError: no idea \(test_measure.py, line \d+\)$"
    with pytest.raises(MethodError, match=raised):
        evaluate_predictions(World(say), "tiny", name="wrong")


def test_a_policy_without_a_world_model_has_no_predictions():
    class Plain(World):
        predict = Policy.predict

    assert evaluate_predictions(Plain(None), "tiny").predictions is None


def test_splits_and_shots_that_are_not_there_are_named():
    with pytest.raises(UnknownNameError, match="split of suite tiny"):
        evaluate_predictions(World(stay), "tiny", split="tst")
    with pytest.raises(MetabenchError, match="track 'prediction' takes 0 to 3 shots here, not 5"):
        evaluate_predictions(World(stay), "tiny", shots=[5])
