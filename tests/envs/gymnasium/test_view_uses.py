"""What Gymnasium's users do with a view: wrong actions, pictures, longer episodes, copies."""

from __future__ import annotations

import copy
import pickle
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.error import InvalidAction, ResetNeeded

import metabench
from metabench import MetabenchError
from metabench.envs import BatchedEnvironment
from metabench.envs.gymnasium.view import GymnasiumView
from metabench.errors import InvalidActionError
from metabench.suites import load_suite


def make(suite: str, **options):
    entry = load_suite(suite).entry
    name = "".join(part.capitalize() for part in suite.split("-"))
    return gymnasium.make(f"metabench:metabench/{name}-v{entry.version}", task=0, **options)


WRONG = {
    "mountain-car": ([9, -1, 1.0, True, "left", [1], None], r"expected 0 to 2, found 9"),
    "cartpole-param": ([7, 1.7, np.array([1, 0])], r"expected 0 to 1, found 7"),
    "grid-world": ([-1, 4], r"expected 0 to 3, found -1"),
    "point-robot": (
        [[np.nan, 0.0], [0.2, 0.0], [0.0], [[0.0, 0.0]], 0.0, ["a", "b"], [True, False], [np.inf, 0.0]],
        r"expected \[-0.1, -0.1\] to \[0.1, 0.1\], found \[nan, 0.0\]",
    ),
    "reach": ([[0.0] * 5, [0.0] * 3, [2.0, 0.0, 0.0, 0.0]], r"expected floats of shape \(4,\), found float64 of shape"),
    "cheetah-vel": ([[0.0] * 5 + [1.1], [np.nan] * 6], r"expected \[-1.0, .* found \[0.0, .*1.1\]"),
}


@pytest.mark.parametrize("suite", WRONG)
def test_wrong_actions_are_refused_by_views_and_batches(suite: str) -> None:
    wrong, message = WRONG[suite]
    view, environment = make(suite, disable_env_checker=True), load_suite(suite).environment()
    with pytest.raises(ResetNeeded):
        view.unwrapped.step(wrong[0])
    view.reset(seed=0)
    environment.reset([load_suite(suite).tasks[0].parameters], [0])
    for number, action in enumerate(wrong):
        with pytest.raises(InvalidAction, match=message if number == 0 else r"^action: expected"):
            view.step(action)
        with pytest.raises(InvalidActionError, match=r"^actions: expected"):
            environment.step(np.asarray(action)[None])
    first = view.action_space.sample()
    assert np.isfinite(view.step(first)[1])
    with pytest.raises(InvalidActionError, match=r"shape \(1,|shape \(2"):
        environment.step(np.stack([first, first]))  # two lanes' actions for one lane


def test_the_wrong_lane_is_named_and_ended_lanes_take_zeros() -> None:
    class Far(BatchedEnvironment):
        spaces = metabench.Spaces(1, 5, (2.0,), (3.0,))

        def reset(self, parameters, seeds):
            return np.zeros((len(seeds), 1), np.float32)

        def step(self, actions):
            return metabench.BatchStep(np.zeros((len(actions), 1), np.float32), actions[:, 0], np.zeros(2, bool))

    environment = Far()
    environment.reset([{}, {}], [0, 1])
    assert environment.step(np.array([[2.5], [0.0]])).reward.tolist() == [2.5, 0.0]
    with pytest.raises(InvalidActionError, match=r"expected \[2.0\] to \[3.0\], found \[3.5\] in lane 1"):
        environment.step(np.array([[2.5], [3.5]]))


@pytest.mark.parametrize("suite", ["point-robot", "cheetah-vel", "cartpole-param", "tiny-discrete"])
def test_a_view_is_drawn(suite: str) -> None:
    view = make(suite, render_mode="rgb_array")
    view.reset(seed=0)
    pictures = [view.render()]
    for _ in range(3):
        view.step(np.zeros_like(view.action_space.sample()) if suite == "tiny-discrete" else view.action_space.sample())
        pictures.append(view.render())
    for picture in pictures:
        assert picture.dtype == np.uint8
        assert picture.shape == pictures[0].shape
        assert picture.shape[1:] == (480, 3)
        assert picture.std() > 1
    assert (pictures[0] != pictures[-1]).any()
    assert view.metadata["render_fps"] > 0


def test_a_point_is_drawn_where_it_is() -> None:
    view = make("point-robot", render_mode="rgb_array")
    view.reset(seed=0)
    places = []
    for action in ([0.1, 0.0], [0.1, 0.0], [0.0, -0.1], [0.0, -0.1]):
        view.step(np.array(action))
        red, _green, blue = np.moveaxis(view.render().astype(int), -1, 0)
        places.append([axis.mean() for axis in np.nonzero(red - blue > 80)])
    down, right = np.diff(places, axis=0).T
    assert right[0] > 5 > abs(down[0])
    assert down[2] > 5 > abs(right[2])


def test_no_pictures_is_the_default_and_others_are_refused() -> None:
    assert make("point-robot", render_mode=None).unwrapped.render() is None
    with pytest.raises(MetabenchError, match=r"render_mode 'human': expected one of \['rgb_array'\] or None"):
        make("point-robot", render_mode="human")
    with pytest.raises(MetabenchError, match="Blank has no pictures"):
        GymnasiumView(Blank(), {}, render_mode="rgb_array")


class Blank(BatchedEnvironment):
    """Shows nothing."""

    spaces = metabench.Spaces(1, 5, (-1.0,), (1.0,))

    def reset(self, parameters, seeds):
        return np.zeros((len(seeds), 1), np.float32)

    def step(self, actions):
        return metabench.BatchStep(np.zeros((len(actions), 1), np.float32), actions[:, 0], np.zeros(len(actions), bool))


@pytest.mark.parametrize(("suite", "limit"), [("point-robot", 31), ("cheetah-vel", 205), ("point-robot", 7)])
def test_another_time_limit_is_kept(suite: str, limit: int) -> None:
    view = make(suite, max_episode_steps=limit)
    view.reset(seed=0)
    ends = [view.step(np.zeros(view.action_space.shape, np.float32))[3] for _ in range(limit)]
    assert ends == [False] * (limit - 1) + [True]


@pytest.mark.parametrize("suite", ["point-robot", "cheetah-vel", "cartpole-param", "reach"])
def test_copies_go_on_as_the_view_does(suite: str) -> None:
    view = make(suite)
    for mid_episode in (False, True):
        view.reset(seed=3)
        view.action_space.seed(0)
        actions = [view.action_space.sample() for _ in range(6)]
        if mid_episode:
            for action in actions[:4]:
                view.step(action)
        copies = [copy.deepcopy(view), pickle.loads(pickle.dumps(view))]
        seen = [[env.step(action)[:2] for action in actions[4:]] for env in (view, *copies)]
        started = [env.reset()[0] for env in (view, *copies)]
        for other, start in zip(seen[1:], started[1:], strict=True):
            for (observation, reward), (expected, earned) in zip(other, seen[0], strict=True):
                np.testing.assert_array_equal(observation, expected)
                assert reward == earned
            np.testing.assert_array_equal(start, started[0])
        assert copies[0].spec.id == view.spec.id


@pytest.mark.parametrize("suite", ["cheetah-vel", "reach", "pointmaze"])
def test_simulators_that_cannot_be_copied_say_so(suite: str) -> None:
    environment = load_suite(suite).environment()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of gymnasium_robotics, when it is imported
        environment.reset([load_suite(suite).tasks[0].parameters], [0])
    for attempt in (copy.deepcopy, pickle.dumps):
        with pytest.raises(MetabenchError, match="cannot be copied or pickled"):
            attempt(environment)
