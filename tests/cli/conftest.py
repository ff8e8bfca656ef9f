"""Running the command line in this process."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from metabench.cli import main


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]):
    """`command("run", "tiny", ...)` gives exit status and what was printed."""

    def run(*arguments: str) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        printed = capsys.readouterr()
        return Ended(int(caught.value.code or 0), printed.out, printed.err)

    return run


@pytest.fixture
def place(tiny_built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of a test, with a home of its own in which the tiny suite's data is built."""
    for variable, name in (("METABENCH_HOME", "home"), ("MINARI_DATASETS_PATH", "minari")):
        shutil.copytree(tiny_built / name, tmp_path / name)
        monkeypatch.setenv(variable, str(tmp_path / name))
    shutil.copy(Path(__file__).parents[1] / "runs" / "small_methods.py", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def small() -> str:
    """A method that trains for a moment, with dropout."""
    return f"{Path(__file__).parents[1] / 'runs' / 'small_methods.py'}:Small"
