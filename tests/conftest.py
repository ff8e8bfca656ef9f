"""What all tests share: no test reads or writes the user's own data, stores, checkpoints or policies."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import settings

from metabench.data.build import build_dataset
from metabench.suites import load_suite

settings.register_profile("metabench", deadline=None, database=None)
settings.load_profile("metabench")

_VARIABLES = ("METABENCH_HOME", "MINARI_DATASETS_PATH")


@pytest.fixture(autouse=True)
def folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test gets an empty home and an empty Minari folder: `home` and `minari` of the path returned."""
    root = tmp_path_factory.mktemp("folders")
    for variable, name in zip(_VARIABLES, ("home", "minari"), strict=True):
        monkeypatch.setenv(variable, str(root / name))
    return root


@pytest.fixture(scope="session")
def _tiny_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All datasets of the suite `tiny`, built once a session."""
    root = tmp_path_factory.mktemp("tiny")
    with pytest.MonkeyPatch.context() as monkeypatch:
        for variable, name in zip(_VARIABLES, ("home", "minari"), strict=True):
            monkeypatch.setenv(variable, str(root / name))
        suite = load_suite("tiny")
        for dataset in suite.entry.datasets:
            build_dataset(suite, dataset)
    return root


@pytest.fixture
def tiny_built(_tiny_folders: Path, folders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Home and Minari folder in which all datasets of `tiny` are built, shared by the session: to be read only."""
    for variable, name in zip(_VARIABLES, ("home", "minari"), strict=True):
        monkeypatch.setenv(variable, str(_tiny_folders / name))
    return _tiny_folders


@pytest.fixture
def tiny_copied(_tiny_folders: Path, folders: Path) -> Path:
    """The test's own home and Minari folder, in which all datasets of `tiny` are built: to be damaged at will."""
    shutil.copytree(_tiny_folders, folders, dirs_exist_ok=True)
    return folders
