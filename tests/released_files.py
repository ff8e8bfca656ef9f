"""Files as the Meta-DT group released them for Point-Robot: a pickle a task, actions in [-1, 1], moves of a tenth."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from metabench.envs import Array
from metabench.suites import load_suite

Columns = dict[str, Array]


def make_columns(goal: Any, seed: int, episodes: int, horizon: int = 20) -> Columns:
    """Flat columns of random walks, computed step by step."""
    generator = np.random.default_rng(seed)
    rows: dict[str, list[Any]] = {"observations": [], "actions": [], "rewards": [], "next_observations": []}
    for _ in range(episodes):
        place = np.zeros(2)
        for _ in range(horizon):
            action = generator.uniform(-1, 1, 2).astype(np.float32)
            after = place + 0.1 * action.astype(np.float64)
            for key, value in zip(rows, (place, action, -np.hypot(*(after - goal)), after), strict=True):
                rows[key].append(value)
            place = after
    return {**{key: np.array(values) for key, values in rows.items()}, "terminals": np.zeros(episodes * horizon, bool)}


def write_columns(folder: Path, task: int, columns: Columns) -> None:
    """One file."""
    folder.mkdir(exist_ok=True)
    (folder / f"dataset_task_{task}.pkl").write_bytes(pickle.dumps(columns))


def write_released(folder: Path, suite: str = "tiny", split: str = "train", episodes: int = 6) -> dict[int, Columns]:
    """Files of all tasks of a split; returns what is in them by task."""
    written = {
        task.id: make_columns(task.parameters["goal"], task.id, episodes) for task in load_suite(suite).split(split)
    }
    for task, columns in written.items():
        write_columns(folder, task, columns)
    return written
