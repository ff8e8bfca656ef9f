"""Hopper and walker that must stay up: Gymnasium's rule for a fall, and actuators that a task scales and turns."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from metabench.envs.family import load_family

CASES = {"hopper-healthy": ("Hopper-v5", 3), "walker-healthy": ("Walker2d-v5", 6)}


def make_task(name, **changes):
    family = load_family(name)
    task = {key: np.ones(shape).tolist() for key, shape in family.shapes.items()}
    return {**task, "direction": [1] * family.joints, **changes}


@pytest.mark.parametrize("name", CASES)
def test_an_episode_ends_where_gymnasiums_body_is_no_longer_healthy(name):
    """Random actions let every lane fall; the states on both sides of the fall are put into Gymnasium's environment."""
    gym_name, joints = CASES[name]
    judge = gymnasium.make(gym_name).unwrapped
    environment = load_family(name).environment(200)
    lanes = 40
    environment.reset([make_task(name)] * lanes, list(range(lanes)))
    generator = np.random.default_rng(0)
    ended = np.zeros(lanes, bool)
    for _ in range(60):
        step = environment.step(generator.uniform(-1, 1, (lanes, joints)))
        simulator = environment._simulator
        for lane in range(lanes):
            judge.data.qpos[:] = simulator.positions[lane]
            judge.data.qvel[:] = simulator.velocities[lane]
            assert step.terminated[lane] == (not judge.is_healthy)
        ended |= step.terminated
    assert ended.all()
    judge.close()


@pytest.mark.parametrize("name", CASES)
def test_a_turned_actuator_answers_the_opposite_action(name):
    joints = CASES[name][1]
    environment = load_family(name).environment(20)
    turned = [(-1) ** joint for joint in range(joints)]
    tasks = [make_task(name), make_task(name, direction=turned)]
    generator = np.random.default_rng(1)
    environment.reset(tasks, [5, 5])
    for _ in range(5):
        action = generator.uniform(-1, 1, joints)
        step = environment.step(np.stack([action, action * turned]))
        assert np.array_equal(step.observation[0], step.observation[1])


@pytest.mark.parametrize("name", CASES)
def test_a_strong_actuator_does_with_half_the_action_what_a_weak_one_does_with_all(name):
    joints = CASES[name][1]
    environment = load_family(name).environment(20)
    tasks = [make_task(name), make_task(name, strength=[2.0] * joints)]
    generator = np.random.default_rng(1)
    environment.reset(tasks, [5, 5])
    for _ in range(5):
        action = generator.uniform(-1, 1, joints)
        step = environment.step(np.stack([action, action / 2.0]))
        assert np.allclose(step.observation[0], step.observation[1], atol=1e-12)
        action = generator.uniform(-1, 1, joints)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"direction": None}, "expected a direction for each actuator, found none"),
        ({"direction": [1]}, "direction must hold"),
        ({"direction": "turned"}, "direction must hold"),
        ({"strength": "half"}, "strength must have shape"),
        ({"strength": None}, "expected exactly mass, inertia, damping, friction, strength"),
    ],
)
def test_wrong_parameters_are_told_in_a_line(name, change, message):
    task = {key: value for key, value in {**make_task(name), **change}.items() if value is not None}
    with pytest.raises(ValueError, match=message):
        load_family(name).check_parameters(task)


@pytest.mark.parametrize("name", CASES)
def test_drawn_tasks_are_tasks_and_the_teacher_reads_all_of_them(name):
    family = load_family(name)
    generator = np.random.default_rng(2)
    tasks = [family.draw(generator) for _ in range(20)]
    for task in tasks:
        family.check_parameters(task)
    features = family.teacher_features(np.zeros((20, family.observation_dim)), tasks)
    assert features.shape == (20, family.feature_dim)
    assert len({tuple(family.task_vector(task)) for task in tasks}) == 20


@pytest.mark.parametrize("name", CASES)
def test_turned_actuators_are_the_same_to_the_teacher(name):
    """Its network reads the same and acts the same; what the simulator gets is turned."""
    family, joints = load_family(name), CASES[name][1]
    turned = [(-1) ** joint for joint in range(joints)]
    tasks = [make_task(name), make_task(name, direction=turned)]
    environment = family.environment(20)
    observation = environment.reset(tasks, [5, 5])
    generator = np.random.default_rng(3)
    for _ in range(5):
        features = family.teacher_features(observation.astype(np.float64), tasks)
        assert np.array_equal(features[0], features[1])
        actions = np.repeat(generator.uniform(-1.5, 1.5, (1, joints)), 2, axis=0)
        observation = environment.step(family.to_environment(actions, tasks)).observation
