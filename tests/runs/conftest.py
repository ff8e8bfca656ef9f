"""A place of its own for every test that runs cells: the tiny suite's data, an empty home, a results folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

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
