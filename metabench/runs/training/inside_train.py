"""Inside a process of foreign code: train a method, and leave what came of it in a folder."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metabench.methods.registry import configure_method
from metabench.runs.isolation.channel import PROGRESS, Channel
from metabench.runs.isolation.shared_arrays import SharedArrays
from metabench.runs.kept.saved_policy import POLICY
from metabench.runs.training.isolated_training import LEARNED, STOP
from metabench.runs.training.train_policy import TrainingTask, train_policy
from metabench.suites import load_suite
from metabench.system.torch_settings import set_torch_when_imported

EVERY = 0.1
"""Seconds between two messages of progress."""


def train(channel: Channel, arrays: SharedArrays, content: Mapping[str, Any]) -> None:
    """Train the method of `content`; policy and findings are left in its folder."""
    set_torch_when_imported(content["threads"], deterministic=True)
    stop = arrays.views(STOP)["stop"]
    own, told = os.getpid(), 0.0

    def progress(stage: str, done: int, total: int, metrics: Mapping[str, float]) -> None:
        nonlocal told
        if os.getpid() != own:
            os._exit(1)
        if done == total or time.monotonic() - told >= EVERY:
            told = time.monotonic()
            numbers = {name: float(value) for name, value in metrics.items()}
            channel.send(PROGRESS, [stage, done, total, numbers])

    checkpoints = content["checkpoints"]
    task = TrainingTask(
        load_suite(Path(content["suite_folder"])),
        content["dataset"],
        content["seed"],
        content["device"],
        None if checkpoints is None else Path(checkpoints),
        content["checkpoint_seconds"],
        content["expert_labels"],
    )
    method = configure_method(content["method"], content["configuration"], content["code"])
    policy, learned = train_policy(method, task, progress, lambda: bool(stop[0]))
    folder = Path(content["folder"])
    policy.save(folder / POLICY)
    (folder / LEARNED).write_text(learned.model_dump_json(), encoding="utf-8")
