"""Folders that the user chooses, what lies in them, and the one that metabench runs from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from metabench.errors import MetabenchError

HOME, MINARI = "METABENCH_HOME", "MINARI_DATASETS_PATH"


def home() -> Path:
    """The folder of stores, checkpoints and policies: `$METABENCH_HOME`, by default `~/.cache/metabench`."""
    return read_folder(HOME) or Path.home() / ".cache" / "metabench"


def minari_root() -> Path:
    """The folder of all Minari datasets: `$MINARI_DATASETS_PATH`, by default `~/.minari/datasets`."""
    return read_folder(MINARI) or Path.home() / ".minari" / "datasets"


def read_folder(variable: str) -> Path | None:
    """The folder that an environment variable names, absolute and with `~` expanded; None if it is unset or empty.

    Raises:
        MetabenchError: it begins with `~` and a name that is no user's.
    """
    given = os.environ.get(variable)
    if not given:
        return None
    try:
        return Path(given).expanduser().absolute()
    except RuntimeError as error:
        raise MetabenchError(f"{variable}: {given!r} is no folder: {error}") from error


@contextmanager
def let_minari_use(root: Path) -> Iterator[None]:
    """Let Minari's own functions work in `root` within: they take the variable as it stands, `~` and all."""
    before = os.environ.get(MINARI)
    os.environ[MINARI] = str(root)
    try:
        yield
    finally:
        if before is None:
            del os.environ[MINARI]
        else:
            os.environ[MINARI] = before


def source_root() -> Path:
    """The folder that holds the package: the root of a checkout, or `site-packages` once installed."""
    return Path(__file__).parents[2]


def list_files(folder: Path) -> list[Path]:
    """All files below `folder`, sorted; links to folders are followed, and no folder is read twice."""
    found: list[Path] = []
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:  # a loop, or a second way to the same files
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        found += [path for name in names if (path := Path(place, name)).is_file()]
    return sorted(found)
