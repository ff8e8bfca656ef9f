"""Where a dataset lies: its store below metabench's home, its Minari files below Minari's own folder."""

from __future__ import annotations

from pathlib import Path

from metabench.suites import Suite
from metabench.system.home import home, minari_root


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
