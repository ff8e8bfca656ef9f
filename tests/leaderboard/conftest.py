"""Real records, policies and cards for the leaderboard; synthetic ones beside them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from metabench.runs.executors.run_cells import run_cells
from metabench.runs.plan import plan_cells
from metabench.runs.request import RunRequest
from metabench.runs.settings import Settings
from metabench.suites import Suite, datasets_folder, read_suite

from ..synthetic_records import make as make
from ..synthetic_records import seal as seal
from ..synthetic_records import write as write

METHODS = Path(__file__).parents[1] / "runs" / "small_methods.py"
MEMORISING = Path(__file__).parent / "submission" / "memorising_method.py"
LAW = "\n[task_distribution.test]\ngoal = { uniform = [[-1.0, -1.0], [1.0, 1.0]] }\n"


@pytest.fixture(scope="session")
def public_tiny(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    """The suite `tiny` as if it were part of leaderboards, with the law of its test tasks."""
    folder = tmp_path_factory.mktemp("suites") / "tiny"
    shutil.copytree(datasets_folder() / "tiny", folder)
    text = (folder / "suite.toml").read_text()
    (folder / "suite.toml").write_text(text.replace("internal = true\n", "") + LAW)
    return read_suite(folder)


@pytest.fixture(scope="session")
def _trained(public_tiny: Suite, _tiny_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trained")
    shutil.copytree(_tiny_folders, root, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as monkeypatch:
        for variable, name in (("METABENCH_HOME", "home"), ("MINARI_DATASETS_PATH", "minari")):
            monkeypatch.setenv(variable, str(root / name))
        planned = plan_cells(
            RunRequest(
                [public_tiny], ["medium"], [f"{METHODS}:Small"], preset="tiny", seeds=(0, 1), results=root / "results"
            )
        )
        planned += plan_cells(
            RunRequest(
                [public_tiny],
                ["medium"],
                [f"{MEMORISING}:Memorising"],
                preset="tiny",
                tracks=["zero-shot"],
                results=root / "results",
            )
        )
        assert len(run_cells(planned, Settings()).finished) == 3
    return root


@pytest.fixture
def trained(_trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Real records in `results`, two seeds of `small` and one of `memorising`, and their policies in `home`."""
    for variable, name in (("METABENCH_HOME", "home"), ("MINARI_DATASETS_PATH", "minari")):
        monkeypatch.setenv(variable, str(_trained / name))
    return _trained


@pytest.fixture
def real(trained: Path) -> Callable[[str, int], Path]:
    """Path of a real record, by method and seed."""
    return lambda method, seed: next((trained / "results").glob(f"*/*/{method}/*/{seed}.json.gz"))


@pytest.fixture
def card(tmp_path: Path) -> Callable[..., Path]:
    """Write a method's card, filled in."""

    def write(name: str, **changes: Any) -> Path:
        content = {
            "name": name,
            "authors": ["Ada L.", "Alan T."],
            "paper": "none",
            "code": "https://example.org/code",
            "licence": "MIT",
            "data": "nothing else",
            "prior": "nothing",
            "contact": "ada@example.org",
            **changes,
        }
        path = tmp_path / "cards" / f"{name}.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in content.items()))
        return path

    return write
