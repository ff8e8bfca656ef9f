"""Where things lie: stores, checkpoints and saved policies below one folder, Minari's datasets below its own."""

from __future__ import annotations

import os
from pathlib import Path

from metabench.suites import Suite


def home() -> Path:
    """The folder of stores, checkpoints and policies: `$METABENCH_HOME`, by default `~/.cache/metabench`."""
    given = os.environ.get("METABENCH_HOME")
    return Path(given).expanduser() if given else Path.home() / ".cache" / "metabench"


def store_folder(suite: Suite, dataset: str) -> Path:
    """Folder of a dataset's memory-mapped store: `stores/point-robot-v1/medium-v1` below `home`."""
    return home() / "stores" / suite.identity / f"{dataset}-v{suite.dataset(dataset).version}"


def minari_namespace(suite: Suite) -> str:
    """The Minari namespace of a suite's datasets: `metabench/point-robot`."""
    return f"metabench/{suite.name}"


def minari_id(suite: Suite, dataset: str) -> str:
    """The id that `minari.load_dataset` takes: `metabench/point-robot/medium-v1`."""
    return f"{minari_namespace(suite)}/{dataset}-v{suite.dataset(dataset).version}"


def minari_folder(suite: Suite, dataset: str) -> Path:
    """Folder of a dataset's Minari files, below `$MINARI_DATASETS_PATH` (by default `~/.minari/datasets`)."""
    return minari_root() / minari_id(suite, dataset)


def minari_root() -> Path:
    """The folder of all Minari datasets: `$MINARI_DATASETS_PATH`, by default `~/.minari/datasets`."""
    given = os.environ.get("MINARI_DATASETS_PATH")
    return Path(given) if given is not None else Path.home() / ".minari" / "datasets"
