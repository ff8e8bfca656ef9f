"""The numbers of the MuJoCo suites against the facts that define them, and models that scaling leaves alone."""

from __future__ import annotations

import math
from typing import Any

import mujoco
import numpy as np
import pytest

from metabench import load_suite
from metabench.envs import load_family
from metabench.envs.locomotion.environment import LocomotionEnvironment
from metabench.suites.task_distribution import draw_task

BASES = {"mass": 1.5, "inertia": 1.5, "damping": 1.3, "friction": 1.5}
SHAPES = {
    "hopper-param": {"mass": (5,), "inertia": (5, 3), "damping": (6,), "friction": (5, 3)},
    "walker-param": {"mass": (8,), "inertia": (8, 3), "damping": (9,), "friction": (8, 3)},
}
"""Of the arrays of the compiled model, with the world's body and the root's three joints."""

FIELD = 5
"""Test tasks, and far ones, that were there before version 2: the first."""

LEFT_OUT = {"mass": 1, "inertia": 1, "damping": 3, "friction": 0}
PARAMETER_SUITES = sorted(SHAPES)


def parameters(name: str, split: str) -> list[Any]:
    return [task.parameters for task in load_suite(name).split(split)]


def numbers(name: str, key: str) -> np.ndarray:
    """Of the training tasks, then of the field's own test tasks."""
    return np.array([task[key] for task in (*parameters(name, "train"), *parameters(name, "test")[:FIELD])])


def environment_of(name: str) -> LocomotionEnvironment:
    environment = load_suite(name).environment()
    assert isinstance(environment, LocomotionEnvironment)
    return environment


@pytest.mark.parametrize(
    ("name", "splits"),
    [
        ("cheetah-vel", (45, 30, 10)),
        ("cheetah-dir", (2, 2, 0)),
        ("ant-dir", (45, 30, 0)),
        ("ant-dir-arc", (45, 30, 0)),
        ("hopper-param", (45, 30, 10)),
        ("walker-param", (45, 30, 10)),
    ],
)
def test_splits_horizon_and_quotas(name: str, splits: tuple[int, ...]) -> None:
    suite = load_suite(name)
    found = tuple(len(suite.split(split, allow_empty=True)) for split in ("train", "test", "test-far"))
    assert found == splits
    assert suite.entry.horizon == 200
    quotas = (20, 4) if splits[1] < 10 else (2, 2)  # where tasks are few, episodes are many
    assert (suite.entry.evaluation.episodes, suite.entry.evaluation.supports) == quotas
    assert suite.entry.seen_tasks == (name == "cheetah-dir")
    assert sum(task.validation for task in suite.tasks) == {45: 5, 2: 0}[splits[0]]
    assert {data.trajectories for data in suite.entry.datasets.values()} == {100}
    assert ("test-far" in suite.entry.datasets["medium"].splits) == bool(splits[2])


def test_speeds_and_angles_are_the_released_ones() -> None:
    speeds, angles = numbers("cheetah-vel", "speed"), numbers("ant-dir", "angle")
    np.testing.assert_array_equal(speeds, np.random.RandomState(123456).uniform(0, 3, 50))
    np.testing.assert_array_equal(angles, np.random.RandomState(123456).uniform(0, 2 * np.pi, 52)[2:])
    np.testing.assert_allclose(speeds[45:], [2.1066, 1.2421, 1.0270, 1.7878, 0.5996], atol=5e-5)
    np.testing.assert_allclose(angles[45:], [2.1510, 3.7443, 1.2558, 0.6267, 4.6156], atol=5e-5)
    far = [task["speed"] for task in parameters("cheetah-vel", "test-far")]
    assert min(far) >= 3.0
    assert max(far) <= 4.0
    assert numbers("cheetah-dir", "direction").tolist() == [1, -1, 1, -1]


def test_the_arc_that_is_held_out() -> None:
    angles = numbers("ant-dir-arc", "angle")
    np.testing.assert_allclose(angles[:45], np.linspace(math.pi / 4, 7 * math.pi / 4, 45), atol=1e-11)
    directions = (angles[45:] + math.pi) % (2 * math.pi) - math.pi
    np.testing.assert_allclose(np.sort(directions), np.linspace(-math.pi / 6, math.pi / 6, 5), atol=1e-11)
    angles = np.array([task["angle"] for task in parameters("ant-dir-arc", "test")])
    directions = (angles + math.pi) % (2 * math.pi) - math.pi
    assert abs(directions).max() <= math.pi / 6 + 1e-6
    assert 8 < (directions > 0).sum() < 22  # on both sides


@pytest.mark.parametrize(("name", "seed"), [("hopper-param", 1234), ("walker-param", 4321)])
@pytest.mark.parametrize("far", [False, True])
def test_the_factors_of_version_1_are_the_fields(name: str, seed: int, far: bool) -> None:
    """Each array of the model in full, in this order, task after task: mass, inertia, damping, friction."""
    random, largest = np.random.RandomState(seed + far), 4.5 if far else 3.0
    suite = load_suite(f"{name}-v1")
    for task in suite.split("test-far") if far else (*suite.split("train"), *suite.split("test")):
        assert list(task.parameters) == list(SHAPES[name])
        for key, shape in SHAPES[name].items():
            factors = np.power(BASES[key], random.uniform(-largest, largest, shape))
            # the last bit of a power is the processor's
            np.testing.assert_allclose(np.array(task.parameters[key]), factors[LEFT_OUT[key] :], rtol=1e-14)


@pytest.mark.parametrize("name", PARAMETER_SUITES)
def test_factors_are_drawn_as_written(name: str) -> None:
    suite = load_suite(name)
    near, far = np.random.default_rng([2, 0]), np.random.default_rng([2, 1])
    for task in suite.tasks:
        split, generator = ("test-far", far) if task.split == "test-far" else ("test", near)
        drawn = draw_task(suite.entry.task_distribution[split], 0, generator)
        for key in ("mass", "inertia", "damping", "friction", "strength"):
            np.testing.assert_array_equal(task.parameters[key], np.round(drawn[key], 4))
        turned = [-1 if task.id >> joint & 1 else 1 for joint in range(3)]
        assert task.parameters["direction"] == turned * (len(drawn["direction"]) // 3)  # both legs alike


@pytest.mark.parametrize("name", PARAMETER_SUITES)
def test_ranges_of_factors(name: str) -> None:
    for key, base in BASES.items():
        near = numbers(name, key)
        far = np.array([task[key] for task in parameters(name, "test-far")])
        assert near.min() >= base**-1 - 1e-4  # rounded
        assert near.max() <= base + 1e-4
        assert far.min() >= base**-1.5 - 1e-4
        assert far.max() <= base**1.5 + 1e-4
        assert far.max() > base


@pytest.mark.parametrize("name", ["cheetah-vel", "cheetah-dir", "ant-dir", *PARAMETER_SUITES])
def test_time_and_solver(name: str) -> None:
    environment = environment_of(name)
    option = environment.model.opt
    scaled = name in PARAMETER_SUITES
    assert option.timestep == (0.004 if scaled else 0.01)
    assert environment.seconds == pytest.approx(0.016 if scaled else 0.05, abs=1e-15)
    integrator = mujoco.mjtIntegrator.mjINT_EULER if "cheetah" in name else mujoco.mjtIntegrator.mjINT_RK4
    assert option.integrator == integrator
    assert option.disableflags == mujoco.mjtDisableBit.mjDSBL_WARMSTART
    np.testing.assert_array_equal(environment.model.actuator_ctrlrange, [[-1, 1]] * environment.spaces.action_dim)


def capsule(radius: float, half: float) -> float:
    """Mass at 1,000 kg a cubic metre."""
    return 1000 * math.pi * radius**2 * (2 * half + 4 / 3 * radius)


def test_nominal_bodies() -> None:
    hopper, walker = environment_of("hopper-param").model, environment_of("walker-param").model
    ant = environment_of("ant-dir").model
    legs = [capsule(0.05, 0.225), capsule(0.04, 0.25)]
    np.testing.assert_allclose(hopper.body_mass, [0, capsule(0.05, 0.2), *legs, capsule(0.06, 0.195)], rtol=1e-9)
    leg = [*legs, capsule(0.06, 0.1)]
    np.testing.assert_allclose(walker.body_mass, [0, capsule(0.05, 0.2), *leg, *leg], rtol=1e-9)
    np.testing.assert_array_equal(hopper.geom_friction[1:, 0], [0.9, 0.9, 0.9, 2.0])
    np.testing.assert_array_equal(walker.geom_friction[1:, 0], [0.9] * 6 + [1.9])
    np.testing.assert_array_equal(walker.geom_friction[0], [0.7, 0.1, 0.1])
    np.testing.assert_array_equal(hopper.dof_damping, [0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(hopper.dof_armature, [0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(walker.dof_damping, [0] * 3 + [0.1] * 6)
    np.testing.assert_array_equal(walker.dof_armature, [0] * 3 + [0.01] * 6)
    np.testing.assert_array_equal(hopper.actuator_gear[:, 0], [200] * 3)
    np.testing.assert_array_equal(walker.actuator_gear[:, 0], [100] * 6)
    np.testing.assert_array_equal(ant.actuator_gear[:, 0], [150] * 8)


@pytest.mark.parametrize("name", PARAMETER_SUITES)
def test_a_task_changes_five_arrays_and_nothing_else(name: str) -> None:
    environment = environment_of(name)
    task = parameters(name, "test-far")[0]
    scaled, nominal = environment.task_model(task), environment.model
    changed = set()
    for field in dir(nominal):
        mine, theirs = getattr(scaled, field), getattr(nominal, field)
        if isinstance(mine, np.ndarray) and not np.array_equal(mine, theirs):
            changed.add(field)
    assert changed == {"body_mass", "body_inertia", "dof_damping", "geom_friction", "actuator_gear"}
    factors = np.array(task["strength"]) * np.array(task["direction"])
    np.testing.assert_allclose(scaled.actuator_gear[:, 0] / nominal.actuator_gear[:, 0], factors, rtol=1e-12)
    assert {"body_invweight0", "dof_invweight0", "dof_M0", "body_subtreemass"} <= set(dir(nominal))
    np.testing.assert_allclose(scaled.body_mass[1:] / nominal.body_mass[1:], task["mass"], rtol=1e-12)
    np.testing.assert_allclose(scaled.body_inertia[1:] / nominal.body_inertia[1:], task["inertia"], rtol=1e-12)
    np.testing.assert_allclose(scaled.dof_damping[3:] / nominal.dof_damping[3:], task["damping"], rtol=1e-12)
    np.testing.assert_allclose(scaled.geom_friction / nominal.geom_friction, task["friction"], rtol=1e-12)
    for model in (scaled, nominal):
        assert model.body_mass[0] == 0
        assert not model.body_inertia[0].any()
        assert not model.dof_damping[:3].any()


@pytest.mark.parametrize("name", PARAMETER_SUITES)
def test_scaling_never_compounds(name: str) -> None:
    environment, fresh = environment_of(name), environment_of(name)
    first, second = parameters(name, "train")[:2]
    actions = load_suite(name).spaces.uniform_actions(np.random.default_rng(0), (40, 2))

    def rewards(task: Any) -> np.ndarray:
        environment.reset([task, task], [0, 1])
        return np.array([environment.step(action).reward for action in actions])

    once = rewards(first)
    other = rewards(second)
    assert (once != other).any()
    np.testing.assert_array_equal(rewards(first), once)
    for field in ("body_mass", "body_inertia", "dof_damping", "geom_friction"):
        np.testing.assert_array_equal(getattr(environment.model, field), getattr(fresh.model, field))


def test_factors_of_one_are_the_nominal_model() -> None:
    family = load_family("hopper-healthy")
    ones = {key: np.ones(shape).tolist() for key, shape in getattr(family, "shapes").items()}  # noqa: B009
    ones["direction"] = [1, 1, 1]
    family.check_parameters(ones)
    environment = environment_of("hopper-param")
    for field in ("body_mass", "body_inertia", "dof_damping", "geom_friction"):
        np.testing.assert_array_equal(getattr(environment.task_model(ones), field), getattr(environment.model, field))


@pytest.mark.slow
def test_what_standing_still_earns() -> None:
    """An ant that does nothing is paid for being there, in any direction; a hopper or walker falls soon."""
    for name, task, low, high in (
        ("ant-dir", 7, 195, 205),
        ("hopper-param", 7, 20, 100),
        ("walker-param", 7, 20, 100),
    ):
        suite, environment = load_suite(name), environment_of(name)
        environment.reset([suite.tasks[task].parameters] * 20, list(range(20)))
        still = np.zeros((20, suite.spaces.action_dim))
        returns, up = np.zeros(20), np.ones(20, bool)
        for _ in range(200):
            step = environment.step(still)
            returns += step.reward * up
            up &= ~step.terminated
        assert low < np.mean(returns) < high, (name, returns.mean())


def test_observations_hold_what_their_definitions_say() -> None:
    """At the nominal pose: root height, no tilt, and for half-cheetah the torso's place; velocities are clipped."""
    for name, dim, pose in (
        ("cheetah-vel", 20, {0: 0.0, 17: 0.0, 18: 0.0, 19: 0.7}),
        ("ant-dir", 27, {0: 0.75, 1: 1.0}),
        ("hopper-param", 11, {0: 1.25, 1: 0.0}),
        ("walker-param", 17, {0: 1.25, 1: 0.0}),
    ):
        suite = load_suite(name)
        assert suite.spaces.observation_dim == dim
        seen = suite.environment().reset([suite.tasks[0].parameters] * 500, list(range(500)))
        noise = 0.005 if name in PARAMETER_SUITES else 0.1
        for place, value in pose.items():
            assert np.abs(seen[:, place] - value).max() <= noise + 1e-6
            assert abs(seen[:, place].mean() - value) < noise / 5
    thrown = environment_of("hopper-param")
    suite = load_suite("hopper-param")
    thrown.reset([suite.tasks[52].parameters], [0])
    velocities = [np.abs(thrown.step(np.array([[1.0, -1.0, 1.0]])).observation[0, 5:]).max() for _ in range(30)]
    assert max(velocities) == 10.0
