"""What the MuJoCo families refuse: impossible tasks, another MuJoCo unannounced, simulations that diverge."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metabench import DataError
from metabench.envs import load_family
from metabench.envs.locomotion.random_parameters import BODIES
from metabench.errors import InvalidActionError, SimulationError
from metabench.suites import datasets_folder, load_named_suite, read_suite

pytestmark = pytest.mark.slow


SHAPES: dict[str, dict[str, tuple[int, ...]]] = {
    "hopper-param": {"mass": (4,), "inertia": (4, 3), "damping": (3,), "friction": (5, 3)},
    "walker-param": {"mass": (7,), "inertia": (7, 3), "damping": (6,), "friction": (8, 3)},
}
MASS = "[1.0, 1.0, 1.0, {}]"


def with_task_2(folder: Path, name: str, key: str, text: str) -> Path:
    """A copy of the suite whose task 2 has `text` as its parameter `key`."""
    lines = (datasets_folder() / name / "suite.toml").read_text().split("\n")
    first = lines.index("id = 2")
    line = next(i for i in range(first, len(lines)) if lines[i].startswith("parameters."))
    while key in SHAPES.get(name, {}) and not lines[line].startswith(f"parameters.{key} ="):
        line += 1
    lines[line] = f"parameters.{key} = {text}"
    (folder / name).mkdir()
    (folder / name / "suite.toml").write_text("\n".join(lines))
    return folder / name


@pytest.mark.parametrize(
    ("name", "key", "text", "expected"),
    [
        ("cheetah-vel", "speed", "-1.0", "speed must lie between 0 and 10, not -1.0"),
        ("cheetah-vel", "speed", "nan", "speed must lie between 0 and 10, not nan"),
        ("cheetah-vel", "speed", "inf", "speed must lie between 0 and 10, not inf"),
        ("cheetah-vel", "speed", "1" + "0" * 400, "speed must lie between 0 and 10, not 1000"),
        ("cheetah-vel", "speed", "true", "expected exactly 'speed', a number"),
        ("cheetah-vel", "speed", '"1.0"', "expected exactly 'speed', a number"),
        ("cheetah-vel", "speed", "[1.0]", "expected exactly 'speed', a number"),
        ("cheetah-vel", "velocity", "1.0", "expected exactly 'speed', a number"),
        ("cheetah-vel", "angle", "1.0", "expected exactly 'speed', a number"),
        ("cheetah-dir", "direction", "0", "direction must be 1 or -1, not 0"),
        ("cheetah-dir", "direction", "0.5", "direction must be 1 or -1, not 0.5"),
        ("cheetah-dir", "direction", "2", "direction must lie between -1 and 1, not 2"),
        ("cheetah-dir", "direction", "nan", "direction must lie between -1 and 1, not nan"),
        ("ant-dir", "angle", "6.3", "angle must lie between 0 and 6.28319, not 6.3"),
        ("ant-dir", "angle", "-0.1", "angle must lie between 0 and 6.28319, not -0.1"),
        ("ant-dir-arc", "angle", "-inf", "angle must lie between 0 and 6.28319, not -inf"),
        ("hopper-param", "mass", MASS.format("-1.0"), "mass must hold finite numbers above zero"),
        ("hopper-param", "mass", MASS.format("0.0"), "mass must hold finite numbers above zero"),
        ("hopper-param", "mass", MASS.format("nan"), "mass must hold finite numbers above zero"),
        ("hopper-param", "mass", MASS.format("inf"), "mass must hold finite numbers above zero"),
        ("hopper-param", "mass", MASS.format("true"), "mass must hold finite numbers above zero"),
        ("hopper-param", "mass", MASS.format('"1.0"'), "mass must hold finite numbers above zero"),
        ("hopper-param", "mass", MASS.format("[1.0]"), "mass must hold finite numbers above zero"),
        ("hopper-param", "mass", MASS.format("1" + "0" * 400), "mass must hold finite numbers above zero"),
        ("hopper-param", "mass", "[1.0, 1.0, 1.0]", "mass must have shape (4,), not (3,)"),
        ("hopper-param", "mass", "1.0", "mass must have shape (4,), not ()"),
        ("hopper-param", "mass", '"heavy"', "mass must have shape (4,), not ()"),
        ("hopper-param", "inertia", "[1.0, 1.0, 1.0, 1.0]", "inertia must have shape (4, 3), not (4,)"),
        ("hopper-param", "damping", "[1.0, -0.0, 1.0]", "damping must hold finite numbers above zero"),
        ("walker-param", "damping", "[1.0, 1.0, 1.0]", "damping must have shape (6,), not (3,)"),
        ("walker-param", "friction", "[[1.0, 1.0], [1.0]]", "friction must have shape (8, 3), not (2,)"),
    ],
)
def test_an_impossible_task_is_one_line_of_file_task_and_expectation(
    tmp_path: Path, name: str, key: str, text: str, expected: str
) -> None:
    folder = with_task_2(tmp_path, name, key, text)
    with pytest.raises(DataError) as caught:
        read_suite(folder)
    message = str(caught.value)
    assert message.startswith(f"{folder / 'suite.toml'}: task.2.parameters: {expected}")
    assert "\n" not in message


@pytest.mark.parametrize("key", ["mass", "colour"])
def test_factors_are_all_there_and_no_others(tmp_path: Path, key: str) -> None:
    folder = with_task_2(tmp_path, "hopper-param", "friction", "[]")
    text = (folder / "suite.toml").read_text().replace("parameters.friction = []\n", "")
    (folder / "suite.toml").write_text(text)
    with pytest.raises(DataError, match="expected exactly mass, inertia, damping, friction, strength, found"):
        read_suite(folder)
    (folder / "suite.toml").write_text(text.replace("parameters.mass", f"parameters.{key}e", 1))
    with pytest.raises(DataError, match=r"task\.0\.parameters: expected exactly .* found .*e, friction|found"):
        read_suite(folder)


values = st.recursive(
    st.floats() | st.integers(-(10**400), 10**400) | st.booleans() | st.text(max_size=3) | st.none() | st.just(1.0),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=6,
)


@pytest.mark.slow
@settings(max_examples=120)
@given(st.data())
def test_any_parameters_are_a_task_or_one_line(data: st.DataObject) -> None:
    """Whatever passes can be simulated; whatever does not is a `ValueError` of one line."""
    name = data.draw(st.sampled_from(["cheetah-vel", "cheetah-dir", "ant-dir", "hopper-param"]))
    suite = load_suite_once(name)
    parameters = dict(suite.tasks[0].parameters)
    key = data.draw(st.sampled_from([*parameters, "other"]))
    value = data.draw(values)
    if name == "hopper-param" and key != "other" and data.draw(st.booleans()):
        place = np.array(parameters[key], object)
        place.reshape(-1)[data.draw(st.integers(0, place.size - 1))] = value
        value = place.tolist()
    parameters[key] = value
    try:
        load_family(name).check_parameters(parameters)
    except ValueError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 200
        return
    assert set(parameters) == set(suite.tasks[0].parameters)
    numbers = np.array(parameters[key], np.float64)
    assert numbers.shape == SHAPES.get(name, {}).get(key, ())
    assert np.isfinite(numbers).all()
    assert (numbers > 0).all() or name != "hopper-param"
    assert np.isfinite(suite.environment().reset([parameters], [0])).all()


_suites: dict[str, Any] = {}


def load_suite_once(name: str) -> Any:
    """Version 1, in which no body falls."""
    return _suites.setdefault(name, dataclasses.replace(load_named_suite(name, 1), archived=False))


def test_another_mujoco_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    family = load_family("ant-dir")
    assert family.warnings() == ()
    for module in ("families", "simulator"):
        monkeypatch.setattr(f"metabench.envs.locomotion.{module}.TESTED_MUJOCO", "2.1.0")
    expected = f"MuJoCo {mujoco.__version__} is not the tested 2.1.0: trajectories may differ"
    assert family.warnings() == (expected,)
    with pytest.warns(UserWarning, match=re.escape(expected)):
        family.environment(200)


@pytest.fixture
def _log_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MuJoCo writes MUJOCO_LOG.TXT where it runs."""
    monkeypatch.chdir(tmp_path)


diverging = pytest.mark.usefixtures("_log_elsewhere")


@pytest.mark.parametrize("name", ["cheetah-vel", "cheetah-dir", "ant-dir", "hopper-param", "walker-param"])
@pytest.mark.parametrize("step", [1, 200])
def test_an_action_that_is_no_number_is_refused_and_the_lanes_go_on(name: str, step: int) -> None:
    suite = load_suite_once(name)
    environment, untouched = suite.environment(), suite.environment()
    tasks = [suite.tasks[task].parameters for task in (0, 1, 3)]
    still = np.zeros((3, suite.spaces.action_dim))
    for each in (environment, untouched):
        each.reset(tasks, [0, 1, 2])
        for _ in range(step - 1):
            each.step(still)
    broken = still.copy()
    broken[1, -1] = math.nan
    with pytest.raises(InvalidActionError, match=r"expected \[-1.0, .*, nan\] in lane 1$"):
        environment.step(broken)
    np.testing.assert_array_equal(environment.step(still).observation, untouched.step(still).observation)


def damped(factor: float) -> dict[str, Any]:
    """Joints so stiffly damped that explicit integration overshoots, the faster the larger the factor."""
    ones = {key: np.ones(shape).tolist() for key, shape in SHAPES["hopper-param"].items()}
    return {**ones, "damping": [factor] * 3}


def first_bad_step(factor: float, action: np.ndarray) -> tuple[int, int] | None:
    """The step of the environment, from 1, and the simulator's step in it that MuJoCo itself says diverged."""
    model = BODIES["hopper-param"].compile()
    model.dof_damping[3:] *= factor
    data = mujoco.MjData(model)
    generator = np.random.default_rng(0)
    data.qpos[:] += generator.uniform(-0.005, 0.005, model.nq)
    data.qvel[:] = generator.uniform(-0.005, 0.005, model.nv)
    data.ctrl[:] = action
    for count in range(200 * 4):
        mujoco.mj_step(model, data)
        state = np.concatenate([data.qpos, data.qvel])
        if any(warning.number for warning in data.warning) or not (np.abs(state) <= 1e10).all():
            return count // 4 + 1, count % 4
    return None


@pytest.mark.slow
@diverging
def test_divergence_is_found_in_its_step_wherever_in_it_it_happens() -> None:
    """From the first simulator step of an episode to the last of a step, at many speeds of divergence."""
    environment = load_suite_once("hopper-param").environment()
    action = np.array([0.5, -0.5, 0.5])
    seen = set()
    for factor in np.geomspace(100.0, 1e7, 60).tolist():
        expected = first_bad_step(factor, action)
        environment.reset([damped(1.0), damped(factor)], [1, 0])
        found = None
        try:
            for _ in range(200):
                assert np.abs(environment.step(np.stack([action] * 2)).reward).max() < 1e13
        except SimulationError as error:
            assert error.lane == 1
            assert "'damping': " in str(error) or "'mass': " in str(error)
            found = error.step
        assert found == (expected[0] if expected else None), factor
        seen.add(expected)
    assert None in seen
    assert (1, 0) in seen
    assert {within for each in seen if each for within in each[1:]} == {0, 1, 2, 3}


@diverging
def test_the_first_of_several_lanes_is_named() -> None:
    environment = load_suite_once("hopper-param").environment()
    environment.reset([damped(1.0), damped(1e300), damped(1e300)], [0, 1, 2])
    with pytest.raises(SimulationError, match="lane 1 diverged at step 1 "):
        environment.step(np.zeros((3, 3)))
