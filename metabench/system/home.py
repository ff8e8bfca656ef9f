"""Folders that the user chooses, and the one that metabench runs from."""

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
