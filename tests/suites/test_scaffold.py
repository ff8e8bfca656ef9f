"""`metabench new suite`: what it writes is a package that works."""

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from metabench import MetabenchError, TrainingRun, evaluate, load_data, load_method, load_suite
from metabench.checks.suite import check_suite
from metabench.data.making.references import measure_references
from metabench.suites import list_suites
from metabench.suites.scaffold import write_suite_plugin


def test_it_is_listed_loaded_and_passes_its_check(make_plugin) -> None:
    make_plugin("my-cart")
    assert "my-cart" in list_suites()
    assert "find out how the motor pushes" in load_suite("my-cart").family.rules
    findings = check_suite("my-cart")
    assert not [finding for finding in findings if not finding.passed]
    assert {finding.title for finding in findings if finding.remark} == {"references", "speed", "teacher"}


def test_its_physics_are_those_that_its_rules_state(make_plugin) -> None:
    make_plugin("my-cart")
    suite = load_suite("my-cart")
    generator = np.random.default_rng(0)
    environment, task = suite.environment(), suite.tasks[3].parameters
    ((x, v),) = environment.reset([task], [5]).astype(float)
    assert abs(x) <= 0.1
    assert v == 0
    for _ in range(suite.entry.horizon):
        action = float(np.float32(generator.uniform(-1, 1)))
        step = environment.step(np.array([[action]]))
        v += 0.1 * (task["strength"] * action - 0.5 * v)
        x += 0.1 * v
        assert step.observation[0] == pytest.approx([x, v], abs=1e-6)
        assert step.reward[0] == pytest.approx(-abs(x - task["target"]), abs=1e-6)
        assert not step.terminated[0]


@pytest.mark.slow
def test_its_references_are_those_that_are_measured(make_plugin) -> None:
    make_plugin("my-cart")
    suite = load_suite("my-cart")
    for task, measured in measure_references(suite, 100).items():
        reference = suite.tasks[task].reference
        span = reference.expert - reference.random
        stated = {"random": reference.random, "expert": reference.expert}
        assert measured["reference"] == pytest.approx(stated, abs=0.15 * span)


@pytest.mark.slow
def test_a_method_is_trained_and_evaluated_on_it(make_plugin) -> None:
    suite_folder = make_plugin("my-cart") / "my_cart/my-cart/suite.toml"
    suite_folder.write_text(suite_folder.read_text().replace("trajectories = 100", "trajectories = 20"))
    suite = load_suite("my-cart")
    method = load_method("bc", preset="tiny", suite=suite.name)
    policy = method.train(load_data(suite, "medium"), TrainingRun(0))
    for track in ("zero-shot", "logged-shot"):
        for block in evaluate(policy, suite, track).blocks:
            assert len(block.rows) == 5 * suite.entry.evaluation.episodes


@pytest.mark.slow
def test_its_wheel_holds_suite_and_family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_suite_plugin("wheel-cart", tmp_path / "plugin")
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", tmp_path]
    subprocess.run([*build, tmp_path / "plugin"], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    suite = load_suite("wheel-cart")
    assert suite.folder == tmp_path / "site/wheel_cart/wheel-cart"
    assert suite.argument == "wheel-cart"
    assert type(suite.family).__name__ == "WheelCartFamily"


def test_its_files_name_it(tmp_path: Path) -> None:
    for path in write_suite_plugin("my-cart", tmp_path / "plugin"):
        assert "$" not in path.read_text()
        compile(path.read_text(), path, "exec") if path.suffix == ".py" else None


@pytest.mark.parametrize("name", ["My-Suite", "my_suite", "-x", "x-", "1x", "", "a b", "../x"])
def test_a_name_that_cannot_be_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(MetabenchError, match="expected lower-case words"):
        write_suite_plugin(name, tmp_path / "plugin")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("point-robot", "is taken by a suite of metabench"),
        ("corridor", "is taken by an installed task family"),
        ("json", "Python's own"),
        ("numpy", "of an installed Python package; expected another: my-numpy"),
        ("a" * 65, "at most 64 characters"),
    ],
)
def test_a_name_that_is_taken_is_refused(name: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(MetabenchError, match=problem):
        write_suite_plugin(name, tmp_path / "plugin")
    assert not (tmp_path / "plugin").exists()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    write_suite_plugin("my-cart", tmp_path / "plugin")
    with pytest.raises(MetabenchError, match="expected a new or an empty folder"):
        write_suite_plugin("other", tmp_path / "plugin")
