"""Folders that the user chooses, what lies in them, and the one that metabench runs from."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """The folder of stores, checkpoints and policies: `$METABENCH_HOME`, by default `~/.cache/metabench`."""
    given = os.environ.get("METABENCH_HOME")
    return Path(given).expanduser() if given else Path.home() / ".cache" / "metabench"


def minari_root() -> Path:
    """The folder of all Minari datasets: `$MINARI_DATASETS_PATH`, by default `~/.minari/datasets`."""
    given = os.environ.get("MINARI_DATASETS_PATH")
    return Path(given) if given is not None else Path.home() / ".minari" / "datasets"


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
