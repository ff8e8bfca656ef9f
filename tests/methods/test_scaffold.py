"""`metabench new method`: what it writes is a package that works."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest

from metabench import MetabenchError, TrainingData, TrainingRun, Windows, evaluate, load_data, load_method, load_suite
from metabench.checks.method import check_method
from metabench.methods.registry import find_registered_methods
from metabench.methods.scaffold import write_plugin


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    write_plugin("my-method", tmp_path / "plugin")
    return tmp_path / "plugin"


@pytest.mark.slow
def test_it_passes_its_check_and_learns(plugin: Path, tiny_built: Path) -> None:
    spec = f"{plugin}/my_method/method.py:MyMethod"
    problems = [finding for finding in check_method(spec) if not finding.passed]
    assert not problems, problems
    suite, method = load_suite("tiny-discrete"), load_method(spec)
    policy = method.train(load_data(suite, "medium"), TrainingRun(0))

    def score(track: str) -> float:
        (block,) = evaluate(policy, suite, track, shots=None if track == "zero-shot" else [3]).blocks
        return np.mean(suite.normalised([row.task for row in block.rows], [row.total_return for row in block.rows]))

    # Logged support: of its own, a policy that draws nothing may never find the goal, and a task here has two.
    assert score("logged-shot") > score("zero-shot") + 50


@pytest.mark.slow
def test_an_actor_critic_passes_its_check(tmp_path: Path) -> None:
    write_plugin("my-codes", tmp_path / "plugin", "actor-critic")
    problems = [each for each in check_method(f"{tmp_path}/plugin/my_codes/method.py:MyCodes") if not each.passed]
    assert not problems, problems
    assert not [path for path in (tmp_path / "plugin").rglob("*.*") if path.is_file() and "$" in path.read_text()]


@pytest.mark.slow
def test_its_wheel_registers_it(plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", tmp_path, plugin]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert find_registered_methods()["my-method"].origin == "my_method:MyMethod (my-method)"
    assert load_method("my-method").name == "my-method"


def test_its_files_name_it(plugin: Path) -> None:
    project = tomllib.loads((plugin / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["metabench.methods"] == {"my-method": "my_method:MyMethod"}
    assert 'check_method("my-method")' in (plugin / "tests/test_method.py").read_text()
    assert not [path for path in plugin.rglob("*") if path.is_file() and "$" in path.read_text()]


def test_what_its_readme_says_there_is_exists(plugin: Path) -> None:
    data = set(re.findall(r"`data\.([a-z_]+)", (plugin / "README.md").read_text()))
    assert {"transitions", "sample_task_transitions", "validation_tasks", "spaces", "columns"} <= data
    documented = f"{TrainingData.__doc__}"
    assert not [name for name in data if not hasattr(TrainingData, name) and f" {name}: " not in documented]
    assert "terminated: `(B, K)`" in f"{Windows.__doc__}"


@pytest.mark.parametrize("name", ["My-Method", "my_method", "-x", "x-", "1x", "", "a b", "../x"])
def test_a_name_that_cannot_be_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(MetabenchError, match="expected lower-case words"):
        write_plugin(name, tmp_path / "plugin")


@pytest.mark.parametrize(
    ("name", "problem"), [("bc", "is taken by metabench_baselines.bc:BC"), ("json", "Python's own")]
)
def test_a_name_that_is_taken_is_refused(name: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(MetabenchError, match=problem):
        write_plugin(name, tmp_path / "plugin")
    assert not (tmp_path / "plugin").exists()


def test_nothing_is_overwritten(plugin: Path) -> None:
    with pytest.raises(MetabenchError, match="expected a new or an empty folder"):
        write_plugin("other", plugin)
