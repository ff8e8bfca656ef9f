"""Episodes of a report: those of the protocol's lanes, and drawn with the body that the simulator has."""

from contextlib import nullcontext
from pathlib import Path

import mujoco
import numpy as np
import pytest

from metabench import Episode, TrainingRun, evaluate, load_data, load_method, load_suite
from metabench.report.episode_drawings import episodes_section
from metabench.report.episodes import ADAPTED, ZERO_SHOT, Acted, act_episodes

METHOD = f"{Path(__file__).with_name('pictured.py')}:Pictured"


def act_in(suite, policy):
    return act_episodes(lambda: nullcontext(policy), "pictured", suite, 0, privileged=False)


def test_episodes_are_those_that_an_evaluation_scores(tiny_built):
    suite = load_suite("tiny")
    policy = load_method(METHOD, preset="tiny").train(load_data(suite, "medium"), TrainingRun(0))
    found = act_in(suite, policy)
    scored = {
        (track, row.task): row.total_return
        for track, shots in (("zero-shot", [0]), ("few-shot", [3]))
        for row in evaluate(policy, suite, track, shots=shots).blocks[0].rows
        if (row.support, row.episode) == (0, 0)
    }
    support = {
        (row.task, row.episode): row.total_return
        for row in evaluate(policy, suite, "few-shot", shots=[3]).collection.rows
        if row.support == 0
    }
    assert [task.id for task, _ in found] == [task.id for task in suite.split("test")[:3]]
    for task, episodes in found:
        kinds = [each.kind for each in episodes]
        assert kinds == [ZERO_SHOT, "support episode 1", "support episode 2", "support episode 3", ADAPTED]
        expected = [scored["zero-shot", task.id], *(support[task.id, i] for i in range(3)), scored["few-shot", task.id]]
        assert np.allclose([each.episode.total_return for each in episodes], expected, rtol=1e-5)
        assert len({round(value, 3) for value in expected}) > 3, "this policy acts by how many episodes it has seen"
        assert all(len(each.scenes) == len(each.episode) + 1 for each in episodes)


def test_walks_lie_where_the_point_was(tiny_built):
    suite = load_suite("tiny")
    policy = load_method(METHOD, preset="tiny").train(load_data(suite, "medium"), TrainingRun(0))
    found = act_in(suite, policy)
    section = episodes_section(found, suite)
    paths = [node.get("d") for node in section.iter("path") if "walk" in (node.get("class") or "")]
    assert len(paths) == 5 * len(found)
    last = found[0][1][-1].episode.observations
    assert paths[4] == "M" + "L".join(f"{100 * x:.1f},{-100 * y:.1f}" for x, y in last.astype(float))


@pytest.mark.parametrize(("name", "frames"), [("cheetah-vel", 6), ("ant-dir", 7)])
def test_bodies_have_every_limb_in_every_frame(name, frames):
    suite = load_suite(name)
    environment, task = suite.environment(), suite.split("test")[0]
    first = environment.reset([task.parameters], [0])[0]
    steps = 8
    episode = Episode(
        np.repeat(first[None], steps + 1, 0), np.zeros((steps, suite.spaces.action_dim)), np.zeros(steps), False, True
    )
    scenes = [environment.scene(0)]
    for _ in range(steps):
        environment.step(np.ones((1, suite.spaces.action_dim)))
        scenes.append(environment.scene(0))
    acted = [Acted(kind, False, episode, tuple(scenes)) for kind in (ZERO_SHOT, ADAPTED)]
    section = episodes_section([(task, acted)], suite)
    kinds = environment.model.geom_type
    limbs = np.isin(kinds, [mujoco.mjtGeom.mjGEOM_CAPSULE, mujoco.mjtGeom.mjGEOM_SPHERE]).sum()
    drawn = [node for node in section.iter("line") if node.get("class") == "limb"]
    assert len(drawn) == 2 * 6 * 2 * limbs, "two episodes, six frames, an edge and a filling"
    assert all(np.isfinite(float(node.get(key))) for node in drawn for key in ("x1", "y1", "x2", "y2", "stroke-width"))
    scenes = [node for node in section.iter("svg") if node.get("class") == "scene"]
    assert len(scenes) == 2 * frames
