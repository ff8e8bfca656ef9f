"""Spaces: scaling, one-hot rows, their inverses, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metabench import Spaces


@st.composite
def continuous_spaces(draw: st.DrawFn) -> Spaces:
    dim = draw(st.integers(1, 5))
    low = draw(st.lists(st.floats(-100, 100), min_size=dim, max_size=dim))
    width = draw(st.lists(st.floats(0.125, 50), min_size=dim, max_size=dim))
    high = [a + b for a, b in zip(low, width, strict=True)]
    return Spaces(1, 1, action_low=tuple(low), action_high=tuple(high))


@given(continuous_spaces(), st.integers(0, 2**32))
def test_continuous_actions_round_trip(spaces: Spaces, seed: int) -> None:
    low, high = np.array(spaces.action_low, np.float32), np.array(spaces.action_high, np.float32)
    actions = spaces.uniform_actions(np.random.default_rng(seed), (3, 4))
    assert actions.shape == (3, 4, spaces.action_dim)
    assert actions.dtype == np.float32
    assert (actions >= low).all()
    assert (actions <= high).all()
    features = spaces.action_features(actions)
    assert features.dtype == np.float32
    assert (np.abs(features) <= 1 + 1e-3).all()
    back = spaces.actions_from_features(features)
    assert (back >= low).all()
    assert (back <= high).all()
    scale = np.maximum(np.abs(low), np.abs(high))
    assert (np.abs(back - actions) <= 1e-5 * (scale + 1)).all()


@given(continuous_spaces())
def test_bounds_are_the_ends_of_the_features(spaces: Spaces) -> None:
    ends = np.array([spaces.action_low, spaces.action_high], np.float32)
    np.testing.assert_allclose(
        spaces.action_features(ends), [[-1] * spaces.action_dim, [1] * spaces.action_dim], atol=1e-3
    )
    beyond = spaces.actions_from_features(np.array([[-7.0] * spaces.action_dim, [7.0] * spaces.action_dim]))
    np.testing.assert_allclose(beyond, ends, rtol=1e-6, atol=1e-5)
    assert (beyond >= ends[0]).all()
    assert (beyond <= ends[1]).all()


@given(st.integers(2, 9), st.integers(0, 2**32))
def test_discrete_actions_round_trip(count: int, seed: int) -> None:
    spaces = Spaces(3, 10, num_actions=count)
    assert spaces.discrete
    assert spaces.action_dim == count
    actions = spaces.uniform_actions(np.random.default_rng(seed), (5, 2))
    assert actions.dtype == np.int64
    assert set(np.unique(actions)) <= set(range(count))
    features = spaces.action_features(actions)
    assert features.shape == (5, 2, count)
    np.testing.assert_array_equal(features.sum(axis=-1), 1)
    np.testing.assert_array_equal(spaces.actions_from_features(features), actions)


def test_null_actions_are_zero() -> None:
    np.testing.assert_array_equal(Spaces(1, 1, (-2.0, 1.0), (2.0, 3.0)).null_actions(4), np.zeros((4, 2)))
    np.testing.assert_array_equal(Spaces(1, 1, num_actions=3).null_actions(4), np.zeros(4))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"observation_dim": 0, "horizon": 5, "num_actions": 2}, "at least 1"),
        ({"observation_dim": 2, "horizon": 0, "num_actions": 2}, "at least 1"),
        ({"observation_dim": 2, "horizon": 5}, "either action bounds"),
        ({"observation_dim": 2, "horizon": 5, "action_low": (0.0,), "action_high": (1.0,), "num_actions": 2}, "either"),
        ({"observation_dim": 2, "horizon": 5, "action_low": (0.0,), "action_high": (1.0, 2.0)}, "same length"),
        ({"observation_dim": 2, "horizon": 5, "action_low": (1.0,), "action_high": (1.0,)}, "below"),
    ],
)
def test_impossible_spaces_are_refused(arguments: dict, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        Spaces(**arguments)
