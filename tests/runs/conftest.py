"""A place of its own for every test that runs cells: the tiny suite's data, an empty home, a results folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from metabench.runs.execute_cell import execute_cell
from metabench.runs.kept.record import Record, read_record

from ..plugin_packages import make_plugin as make_plugin
from .interrupted import SETTINGS, plan, quiet

METHODS = Path(__file__).with_name("small_methods.py")


@pytest.fixture
def place(tiny_built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder with `home` (data built, nothing run yet) and room for `results`."""
    for variable, name in (("METABENCH_HOME", "home"), ("MINARI_DATASETS_PATH", "minari")):
        shutil.copytree(tiny_built / name, tmp_path / name)
        monkeypatch.setenv(variable, str(tmp_path / name))
    return tmp_path


@pytest.fixture
def small() -> str:
    """A method that trains for a moment, with dropout."""
    return f"{METHODS}:Small"


@pytest.fixture(scope="session")
def uninterrupted(_tiny_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Home and results of an uninterrupted run, to be read only."""
    root = tmp_path_factory.mktemp("uninterrupted")
    with pytest.MonkeyPatch.context() as monkeypatch:
        for variable, name in (("METABENCH_HOME", "home"), ("MINARI_DATASETS_PATH", "minari")):
            shutil.copytree(_tiny_folders / name, root / name)
            monkeypatch.setenv(variable, str(root / name))
        execute_cell(plan(root / "results"), SETTINGS, quiet)
    return root


@pytest.fixture
def expected(uninterrupted: Path, place: Path) -> Record:
    """The record of the uninterrupted run."""
    return read_record(plan(uninterrupted / "results").record_path)
