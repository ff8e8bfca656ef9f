"""MuJoCo's own pictures: of the lane, from beside it, and a line where nothing renders."""

from __future__ import annotations

import os

import numpy as np
import pytest

from metabench import load_suite
from metabench.envs import mujoco_renderer
from metabench.envs.lane_painter import LanePainter
from metabench.envs.locomotion.picture import BodyRenderer
from metabench.envs.workers import WorkerLanes
from metabench.errors import NoRendererError

pytestmark = pytest.mark.slow


@pytest.fixture
def renders() -> str:
    try:
        return mujoco_renderer.find_backend()
    except NoRendererError as error:
        pytest.skip(str(error))


def is_body(picture) -> np.ndarray:
    """Limbs are brown; floor and sky are grey."""
    red, _green, blue = np.moveaxis(picture.astype(int), -1, 0)
    return red - blue > 40


def test_the_camera_follows_the_body_over_an_endless_floor(renders) -> None:
    model = load_suite("ant-dir").environment().model
    renderer, pictures = BodyRenderer(model, 160, 120), []
    for metres in (0.0, 0.5, 80.0):
        positions = model.qpos0.copy()
        positions[0] += metres
        pictures.append(renderer.render(positions, None))
    bodies = [is_body(picture) for picture in pictures]
    assert 100 < bodies[0].sum() < 5000
    assert (bodies[0] == bodies[2]).mean() > 0.995
    floors = [picture[~(bodies[0] | bodies[1] | bodies[2])].astype(int) for picture in pictures]
    assert np.abs(floors[0] - floors[2]).mean() < 3, "after whole squares the floor looks the same"
    assert np.abs(floors[0] - floors[1]).mean() > 6, "half a square later it does not"
    assert floors[2].min(axis=-1).mean() > 170, "and it is still there"


def test_the_arrow_points_where_the_ant_should_run(renders) -> None:
    suite = load_suite("ant-dir")
    places = []
    for angle in (0.0, np.pi):
        environment = suite.environment()
        environment.reset([{**suite.tasks[0].parameters, "angle": angle}], [0])
        red, _green, blue = np.moveaxis(environment.frame(0, 160, 120).astype(int), -1, 0)
        places.append(np.nonzero(blue - red > 60)[1].mean())
    assert places[0] > 90 > 70 > places[1]


def test_rendering_leaves_lanes_and_variables_alone(renders) -> None:
    before = dict(os.environ)
    suite = load_suite("hopper-param")
    ends = []
    for look in (False, True):
        environment = suite.environment()
        environment.reset([task.parameters for task in suite.split("test")[:2]], [1, 2])
        for _ in range(5):
            if look:
                assert environment.frame(1, 96, 64).shape == (64, 96, 3)
            observation = environment.step(np.full((2, 3), 0.4)).observation
        ends.append(observation)
    np.testing.assert_array_equal(*ends)
    assert dict(os.environ) == before


@pytest.mark.walk
def test_a_worker_renders_its_lanes_and_says_when_it_cannot(renders, monkeypatch) -> None:
    suite = load_suite("reach")
    tasks = [task.parameters for task in suite.split("test")[:2]]

    def make_lanes() -> WorkerLanes:
        lanes = WorkerLanes("metabench.envs.metaworld.lanes:make_lanes", {"horizon": 500}, suite.spaces, workers=1)
        lanes.reset(tasks, [0, 1])
        return lanes

    pictures = [make_lanes().frame(lane, 96, 72) for lane in (0, 1)]
    assert all(picture.shape == (72, 96, 3) and picture.std() > 20 for picture in pictures)
    assert (pictures[0] != pictures[1]).any(), "the goals lie elsewhere"
    monkeypatch.setenv("MUJOCO_GL", "disabled")
    lanes = make_lanes()
    with pytest.raises(NoRendererError, match="expected EGL or OSMesa"):
        lanes.frame(0, 96, 72)
    painter = LanePainter(lanes, 0, 96, 72)
    assert painter.paint().shape == (72, 96, 3)
    assert painter.notice.endswith("(Debian: apt-get install libosmesa6); drawn flat instead")
    assert lanes.step(np.zeros((2, 4))).observation.shape == (2, 39)
