"""Teachers with weights: what they read, what they refuse, and that a lane's actions are its own."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from metabench import DataError, load_suite
from metabench.envs import Teacher, load_family
from metabench.envs.locomotion.families import LocomotionFamily
from metabench.errors import UnknownNameError

HORIZON = 200
NAMES = ("cheetah-vel", "cheetah-dir", "ant-dir", "hopper-param", "walker-param")


def family_of(name: str) -> LocomotionFamily:
    family = load_family(name)
    assert isinstance(family, LocomotionFamily)
    return family


def weights(family: LocomotionFamily, seed: int = 0, width: int = 128) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    sizes = (family.feature_dim, width, width, family.action_dim)
    tensors = {
        "mean": generator.standard_normal(sizes[0]),
        "deviation": generator.uniform(0.5, 2.0, sizes[0]),
        "noise": generator.uniform(0.05, 0.5, sizes[-1]),
    }
    for layer, (rows, columns) in enumerate(itertools.pairwise(sizes)):
        tensors[f"weight_{layer}"] = generator.standard_normal((rows, columns)) / math.sqrt(rows)
        tensors[f"bias_{layer}"] = 0.1 * generator.standard_normal(columns)
    return {name: value.astype(np.float32) for name, value in tensors.items()}


def teacher_in(folder: Path, family: LocomotionFamily) -> Teacher:
    for seed, behaviour in enumerate(("stage-1", "medium", "expert")):
        save_file(weights(family, seed), folder / f"{behaviour}.safetensors")
    return family.teacher(folder, HORIZON)


def lanes_of(family: LocomotionFamily, count: int) -> tuple[list[str], list[Any], list[int], np.ndarray]:
    """Behaviours, tasks, seeds and `(steps, lanes, observation_dim)` observations."""
    generator = np.random.default_rng(5)
    behaviours = [("stage-1", "medium", "expert")[int(pick)] for pick in generator.integers(3, size=count)]
    tasks = [family.draw(generator) for _ in range(count)]
    observations = generator.standard_normal((4, count, family.observation_dim)).astype(np.float32)
    return behaviours, tasks, list(range(100, 100 + count)), observations


@pytest.mark.parametrize("name", NAMES)
def test_a_lane_acts_the_same_in_any_order_and_batch(name: str, tmp_path: Path) -> None:
    family = family_of(name)
    teacher = teacher_in(tmp_path, family)
    behaviours, tasks, seeds, observations = lanes_of(family, 33)

    def acted(chosen: list[int]) -> np.ndarray:
        teacher.reset(
            [behaviours[lane] for lane in chosen], [tasks[lane] for lane in chosen], [seeds[lane] for lane in chosen]
        )
        return np.stack([teacher.act(observation[chosen]) for observation in observations])

    together = acted(list(range(33)))
    assert together.dtype == np.float64
    assert together.shape == (4, 33, family.action_dim)
    assert np.abs(together).max() <= 1.0
    for chosen in ([0], [32], [7, 3], list(range(32, -1, -1)), [4] * 9, list(range(0, 33, 2))):
        np.testing.assert_array_equal(acted(chosen), together[:, chosen])


@pytest.mark.parametrize("name", NAMES)
def test_actions_are_the_networks_and_noise_from_the_seed(name: str, tmp_path: Path) -> None:
    family = family_of(name)
    teacher = teacher_in(tmp_path, family)
    behaviours, tasks, seeds, observations = lanes_of(family, 6)
    teacher.reset(behaviours, tasks, seeds)
    acted = [teacher.act(observation) for observation in observations]
    for lane, (behaviour, seed) in enumerate(zip(behaviours, seeds, strict=True)):
        tensors = weights(family, ("stage-1", "medium", "expert").index(behaviour))
        noise = np.random.default_rng(seed).standard_normal((HORIZON, family.action_dim), np.float32)
        for timestep, observation in enumerate(observations):
            hidden = family.teacher_features(observation[[lane]].astype(float), [tasks[lane]])[0]
            hidden = np.clip((hidden - tensors["mean"]) / tensors["deviation"], -10, 10)
            for layer in range(3):
                hidden = tensors[f"weight_{layer}"].astype(float).T @ hidden + tensors[f"bias_{layer}"]
                hidden = np.tanh(hidden) if layer < 2 else hidden
            expected = np.clip(hidden + tensors["noise"] * noise[timestep].astype(float), -1, 1)
            np.testing.assert_allclose(acted[timestep][lane], expected, rtol=0, atol=1e-9)


def product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Of two quaternions."""
    result = np.zeros(4)
    mujoco.mju_mulQuat(result, left, right)
    return result


angles = st.floats(0, 2 * math.pi)


@given(angles, angles, st.integers(0, 10**6))
def test_turning_the_world_leaves_the_ants_features_alone(angle: float, turn: float, seed: int) -> None:
    family = family_of("ant-dir")
    observation = np.random.default_rng(seed).standard_normal((1, 27))
    observation[0, 1:5] /= np.linalg.norm(observation[0, 1:5])
    turned = observation.copy()
    turned[0, 1:5] = product(np.array([math.cos(turn / 2), 0, 0, math.sin(turn / 2)]), observation[0, 1:5])
    turned[0, 13] = math.cos(turn) * observation[0, 13] - math.sin(turn) * observation[0, 14]
    turned[0, 14] = math.sin(turn) * observation[0, 13] + math.cos(turn) * observation[0, 14]
    features = family.teacher_features(observation, [{"angle": angle}])
    assume(abs(features[0, 1]) > 1e-6)  # a half turn away, either sign is right
    again = family.teacher_features(turned, [{"angle": (angle + turn) % (2 * math.pi)}])
    np.testing.assert_allclose(again, features, rtol=0, atol=1e-9)
    opposite = observation.copy()
    opposite[0, 1:5] *= -1  # the same orientation
    np.testing.assert_allclose(family.teacher_features(opposite, [{"angle": angle}]), features, rtol=0, atol=1e-12)


def test_an_ant_in_a_turned_world_moves_as_its_features_say() -> None:
    """Thrown into the air, where no contact knows north: features and reward stay those of the world as it was."""
    family = family_of("ant-dir")
    model = mujoco.MjModel.from_xml_path(str(Path(gymnasium.__file__).parent / "envs/mujoco/assets/ant.xml"))
    generator = np.random.default_rng(3)
    velocity, twist, action = (
        generator.standard_normal(model.nv),
        generator.standard_normal(3),
        generator.uniform(-1, 1, 8),
    )
    features = []
    for turn in (0.0, 1.0, 4.0):
        rotation = np.array([math.cos(turn / 2), 0, 0, math.sin(turn / 2)])
        data = mujoco.MjData(model)
        data.qpos[2] = 50.0
        data.qpos[3:7] = product(rotation, np.array([math.cos(0.4), math.sin(0.4), 0, 0]))
        data.qvel[:] = velocity
        mujoco.mju_rotVecQuat(data.qvel[:3], velocity[:3], rotation)
        data.qvel[3:6] = twist
        data.ctrl[:] = action
        mujoco.mj_step(model, data, nstep=25)
        observation = np.concatenate([data.qpos[2:], data.qvel])[None]
        features.append(family.teacher_features(observation, [{"angle": 0.5 + turn}]))
    np.testing.assert_allclose(features[1], features[0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(features[2], features[0], rtol=0, atol=1e-9)


def test_what_the_other_teachers_read() -> None:
    observation = np.random.default_rng(0).standard_normal((2, 20))
    for name, key in (("cheetah-vel", "speed"), ("cheetah-dir", "direction")):
        features = family_of(name).teacher_features(observation, [{key: 1}, {key: -1}])
        np.testing.assert_array_equal(features[:, :17], observation[:, :17])
        np.testing.assert_array_equal(features[:, 17], [1, -1])
    suite = load_suite("hopper-param")
    task = suite.tasks[0].parameters
    features = family_of("hopper-param").teacher_features(observation[:, :11], [task, task])
    factors = [*task["mass"], *np.ravel(task["inertia"]), *task["damping"], *np.ravel(task["friction"])]
    bases = [1.5] * 16 + [1.3] * 3 + [1.5] * 15
    np.testing.assert_allclose(np.power(bases, 3 * features[1, 11:]), factors)
    assert np.abs(features[:, 11:]).max() <= 1


def reading(folder: Path, content: bytes | dict[str, np.ndarray] | None, family: LocomotionFamily) -> None:
    path = folder / "expert.safetensors"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        save_file(content, path)
    family.teacher(folder, HORIZON).reset(["expert"], [{"angle": 1.0}], [0])


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("mean", np.zeros(26), r"mean has shape \(26,\), expected \(27,\)"),
        ("deviation", np.zeros((27, 1)), r"deviation has shape \(27, 1\), expected \(27,\)"),
        ("noise", np.zeros(6), r"noise has shape \(6,\), expected \(8,\)"),
        ("weight_0", np.zeros((26, 128)), r"weight_0 has shape \(26, 128\), expected \(27, 128\)"),
        ("weight_0", np.zeros(27), r"weight_0 has shape \(27,\), expected"),
        ("weight_1", np.zeros((64, 128)), r"weight_1 has shape \(64, 128\), expected \(128, 128\)"),
        ("weight_2", np.zeros((128, 6)), r"weight_2 has shape \(128, 6\), expected \(128, 8\)"),
        ("weight_2", np.array(1.0), r"weight_2 has shape \(\), expected \(128, 8\)"),
        ("bias_1", np.zeros(127), r"bias_1 has shape \(127,\), expected \(128,\)"),
        ("bias_2", np.array([0, 0, 0, math.nan, 0, 0, 0, 0]), "bias_2 holds a number that is not finite"),
        ("noise", np.full(8, math.inf), "noise holds a number that is not finite"),
        ("deviation", np.zeros(27), "deviation holds a number that is not above zero"),
        ("colour", np.zeros(3), "tensor colour is not part of a teacher"),
        ("weight_9", np.zeros(3), "expected a tensor (bias|weight)_3, found bias_0"),
        ("noise", None, "expected a tensor noise, found bias_0"),
        ("bias_1", None, "expected a tensor bias_1, found bias_0"),
        ("weight_1", None, "expected a tensor weight_1, found bias_0"),
        ("weight_2", None, "expected a tensor weight_2, found bias_0"),
    ],
)
def test_a_damaged_teacher_names_file_and_tensor(
    name: str, value: np.ndarray | None, expected: str, tmp_path: Path
) -> None:
    family = family_of("ant-dir")
    tensors = weights(family)
    if value is None:
        del tensors[name]
    else:
        tensors[name] = np.asarray(value, np.float32)
    with pytest.raises(DataError, match=expected) as caught:
        reading(tmp_path, tensors, family)
    assert str(caught.value).startswith(f"{tmp_path / 'expert.safetensors'}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b"weights", b"\x08\0\0\0\0\0\0\0{}      ", {}])
def test_what_is_no_teacher_names_the_file(content: bytes | dict[str, np.ndarray] | None, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        reading(tmp_path, content, family_of("ant-dir"))
    assert str(caught.value).startswith(f"{tmp_path / 'expert.safetensors'}: ")
    assert "\n" not in str(caught.value)


def test_a_behaviour_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown teacher behaviour 'exprt'; did you mean 'expert'"):
        teacher_in(tmp_path, family_of("ant-dir")).reset(["exprt"], [{"angle": 1.0}], [0])
