"""What environments show of their lanes: the same wherever a lane runs, without a trace in it, and drawable by all."""

from __future__ import annotations

import math
from xml.etree.ElementTree import Element

import numpy as np
import pytest

from metabench import BatchedEnvironment, Episode, Scene, Suite, load_suite
from metabench.data.cards.picture_strip import EpisodeRow, draw_rows, draw_ways
from metabench.envs.metaworld.lanes import MetaWorldLanes
from metabench.envs.scene import Capsule, Circle
from metabench.envs.workers import WorkerLanes
from metabench.report.episode_drawings import episodes_section
from metabench.report.episodes import ADAPTED, ZERO_SHOT, Acted

from ..plugin_packages import make_plugin as make_plugin

pytestmark = pytest.mark.slow


SHOWN = (
    "ant-dir",
    "cartpole-param",
    "cheetah-vel",
    "darkroom",
    "darkroom-permuted",
    "grid-world",
    "hopper-param",
    "key-to-door",
    "mountain-car",
    "pendulum-param",
    "point-robot",
    "point-robot-sparse",
    "point-robot-wind",
    "pointmaze",
    "reach",
    "simple-env",
    "tiny-discrete",
)


def act_episode(suite: Suite, steps: int = 12) -> Acted:
    """Random actions in the first test task."""
    environment, generator = suite.environment(), np.random.default_rng(0)
    observations = [environment.reset([suite.split("test")[0].parameters], [3])[0]]
    scenes, rewards = [environment.scene(0)], []
    for _ in range(steps):
        step = environment.step(suite.spaces.uniform_actions(generator, (1,)))
        observations.append(step.observation[0])
        rewards.append(step.reward[0])
        scenes.append(environment.scene(0))
        if step.terminated[0]:
            break
    shown = tuple(scene for scene in scenes if scene is not None)
    actions = np.zeros((len(rewards), suite.spaces.action_dim))
    return Acted(ZERO_SHOT, False, Episode(np.array(observations), actions, np.array(rewards), False, True), shown)


def draw_report(suite: Suite, acted: Acted) -> list[Element]:
    other = Acted(ADAPTED, False, acted.episode, acted.scenes)
    section = episodes_section([(suite.split("test")[0], [acted, other])], suite)
    return [node for node in section.iter("svg") if node.get("class") == "scene"]


@pytest.mark.parametrize("name", SHOWN)
def test_reports_and_cards_draw_what_is_shown(name: str) -> None:
    suite = load_suite(name)
    acted = act_episode(suite)
    assert len(acted.scenes) == len(acted.episode) + 1
    assert acted.scenes[0] != acted.scenes[-1], "something moves"
    drawings = draw_report(suite, acted)
    point = acted.scenes[0].point
    assert len(drawings) in ((1,) if point else (12, 14)), "one way, or two episodes of six frames and perhaps a way"
    for node in (node for drawing in drawings for node in drawing.iter()):
        assert "nan" not in " ".join(node.attrib.values())
    row = EpisodeRow(suite.split("test")[0], acted.scenes)
    picture = np.asarray(draw_ways([row]) if point else draw_rows([row]))
    assert len(np.unique(picture[20:].reshape(-1, 3), axis=0)) > 3


def test_a_look_leaves_the_lanes_as_they_are() -> None:
    for name in ("cheetah-vel", "cartpole-param", "reach"):
        suite = load_suite(name)
        tasks = [task.parameters for task in suite.split("test")[:2]]
        actions = suite.spaces.uniform_actions(np.random.default_rng(0), (5, 2))
        ends = []
        for looked_at in (False, True):
            environment = suite.environment()
            environment.reset(tasks, [0, 1])
            for action in actions:
                if looked_at:
                    assert environment.scene(1) == environment.scene(1)
                observation = environment.step(action).observation
            ends.append(observation)
        np.testing.assert_array_equal(*ends)


@pytest.mark.slow
def test_a_worker_shows_its_lanes_as_this_process_would() -> None:
    suite = load_suite("reach")
    tasks = [task.parameters for task in suite.split("test")[:3]]
    here, there = (
        MetaWorldLanes(500),
        WorkerLanes("metabench.envs.metaworld.lanes:make_lanes", {"horizon": 500}, suite.spaces, workers=2),
    )
    actions = suite.spaces.uniform_actions(np.random.default_rng(0), (3,))
    for environment in (here, there):
        environment.reset(tasks, [0, 1, 2])
        environment.step(actions)
    assert [there.scene(lane) for lane in range(3)] == [here.scene(lane) for lane in range(3)]
    assert np.array_equal([here.scene(lane).goal for lane in range(3)], here.goals[:, :2])


def test_poles_stand_where_the_state_says() -> None:
    cartpole = load_suite("cartpole-param")
    task = cartpole.split("test")[0].parameters
    environment = cartpole.environment()
    position, _, angle, _ = environment.reset([task], [5])[0].tolist()
    pole = environment.scene(0).shapes[1]
    assert isinstance(pole, Capsule)
    (foot_x, foot_y), (tip_x, tip_y) = pole.ends
    assert math.isclose(foot_x, position, abs_tol=1e-6)
    assert math.isclose(math.atan2(tip_x - foot_x, tip_y - foot_y), angle, abs_tol=1e-6)
    assert math.isclose(math.hypot(tip_x - foot_x, tip_y - foot_y), 2 * task["half_length"])
    pendulum = load_suite("pendulum-param")
    environment = pendulum.environment()
    cosine, sine, _ = environment.reset([pendulum.split("test")[0].parameters], [5])[0].tolist()
    rod = environment.scene(0).shapes[0]
    assert isinstance(rod, Capsule)
    tip_x, tip_y = rod.ends[1]
    assert math.isclose(math.atan2(-tip_x, tip_y), math.atan2(sine, cosine), abs_tol=1e-6)


def test_the_ant_shows_where_it_should_run() -> None:
    suite = load_suite("ant-dir")
    environment, task = suite.environment(), suite.split("test")[0].parameters
    environment.reset([task], [0])
    assert environment.scene(0).direction == task["angle"]


def test_simulators_of_others_show_nothing_unless_they_say_how(monkeypatch) -> None:
    suite = load_suite("tiny")
    monkeypatch.setattr(type(suite.environment()), "scene", BatchedEnvironment.scene)
    assert act_episode(suite).scenes == ()


def test_a_plugins_scenes_are_drawn_as_well(make_plugin) -> None:
    make_plugin("my-cart")
    suite = load_suite("my-cart")
    acted = act_episode(suite)
    first, last = acted.scenes[0], acted.scenes[-1]
    assert isinstance(first, Scene)
    assert isinstance(first.shapes[0], Circle)
    assert math.isclose(last.shapes[0].centre[0], float(acted.episode.observations[-1, 0]), abs_tol=1e-6)
    drawings = draw_report(suite, acted)
    assert len(drawings) == 12
    middles = [float(node.get("cx")) for drawing in drawings[:6] for node in drawing.iter("circle")]
    expected = [20 * acted.scenes[step].shapes[0].centre[0] for step in np.linspace(0, 12, 6).round().astype(int)]
    np.testing.assert_allclose(middles, expected, atol=0.051)  # 240 units of the drawing show 12 metres
