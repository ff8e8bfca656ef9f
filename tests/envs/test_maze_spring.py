"""The blind policy of Point-Maze: straight to the goal that it sees, with noise, and no idea of the walls."""

from typing import Any

import numpy as np
import pytest

from metabench import load_suite
from metabench.data.making.roll_out import roll_out
from metabench.envs import DeclaredSpaces, load_family
from metabench.envs.points.maze_spring import list_blind_springs

KEYS = ("desired_goal", "observation")


def load(noise: float, keys: tuple[str, ...] = KEYS) -> Any:
    return list_blind_springs(keys).load({"script": "", "noise": noise}, 40)


def test_it_pulls_to_the_goal_wherever_the_observation_has_it() -> None:
    goal, state = np.array([[2.0, -1.0]]), np.array([[1.95, -1.0, 0.1, -0.2]])
    for keys, parts in ((KEYS, [goal, state]), (KEYS[::-1], [state, goal])):
        policy = load(0.0, keys)
        policy.reset([0])
        np.testing.assert_allclose(policy.act(np.concatenate(parts, axis=1)), [[10 * 0.05 - 0.1, 0.2]])
        far = [part + 3.0 * (part is goal) for part in parts]
        np.testing.assert_array_equal(policy.act(np.concatenate(far, axis=1)), [[1.0, 1.0]])


def test_noise_is_the_lane_seeds_only_and_actions_stay_in_bounds() -> None:
    seen = np.random.default_rng(0).uniform(-2, 2, (6, 6))
    together, alone = load(2.0), load(2.0)
    together.reset(list(range(6)))
    alone.reset([3])
    for _ in range(40):
        actions = together.act(seen)
        np.testing.assert_array_equal(actions[3:4], alone.act(seen[3:4]))
        assert np.abs(actions).max() <= 1.0
    assert len(np.unique(actions.round(6))) > 3


def test_where_the_goal_is_hidden_there_is_none() -> None:
    spaces = {"action_low": (-1.0, -1.0), "action_high": (1.0, 1.0)}
    hidden = DeclaredSpaces(observation_dim=4, observation_keys=("observation",), **spaces)
    assert load_family("pointmaze", hidden).blind_scripts() is None


@pytest.mark.parametrize("content", [{"script": ""}, {"script": "", "noise": -1.0}, {"script": "", "noise": "loud"}])
def test_what_is_no_spring_is_refused_in_one_line(content: dict) -> None:
    with pytest.raises(ValueError, match="noise") as caught:
        list_blind_springs(KEYS).load(content, 40)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_it_finds_every_goal_where_there_are_no_walls_and_some_where_there_are() -> None:
    pytest.importorskip("gymnasium_robotics", reason="needs gymnasium-robotics: the extra `robotics`")
    suite, episodes = load_suite("pointmaze"), 6
    tasks = np.repeat([0, 3], episodes).tolist()
    acted = roll_out(suite, tasks, ["blind"] * len(tasks), list(range(len(tasks))))
    reached = acted.columns.episode_returns.reshape(2, episodes).mean(axis=1)
    assert reached[0] == 1.0
    assert reached[1] < 1.0
