"""What a method does apart from suites: pretraining once for all of them, and repeating its paper's experiment."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from metabench.errors import ClaimedError, MetabenchError, UnknownNameError
from metabench.methods.configuring import configure
from metabench.methods.contract import Config, Method
from metabench.methods.registry import digest_method_code, list_methods, load_method_class
from metabench.methods.state_files import save_state
from metabench.methods.training_run import TrainingProgress, TrainingRun
from metabench.runs.kept.clock import Clock
from metabench.system.torch_settings import torch_settings
from metabench.system.writing import write_whole

STARTED, CLOCK, CURVE, WEIGHTS, CHECKPOINTS, ROWS = (
    "started.json",
    "clock.json",
    "curve.jsonl",
    "weights",
    "checkpoints",
    "rows.json",
)
"""What a folder holds: what was asked for, the time so far, the curve, the result; checkpoints until it is done."""


def pretraining_of(
    spec: str, preset: str, overrides: Mapping[str, Any]
) -> tuple[type[Method], Config]:
    """The method and its configuration; raises `MetabenchError` if it has no pretraining, or no such preset or key."""
    method, _ = load_method_class(spec)
    if not method.pretraining:
        raise MetabenchError(
            f"method {method.name!r} has nothing to pretrain; expected one that declares it"
        )
    if preset not in method.pretraining:
        raise UnknownNameError(
            f"pretraining preset of method {method.name}", preset, method.pretraining
        )
    return method, configure(method.name, method.pretraining[preset], overrides)


def reproduction_of(spec: str, overrides: Mapping[str, Any]) -> tuple[type[Method], Config]:
    """The method that has the experiment, and its configuration.

    Args:
        spec: the name of a paper, as `oswm`, whose experiment `oswm-plus` has; or what `load_method` takes.
        overrides: keys of the configuration, and their values.

    Raises:
        MetabenchError: it has no experiment, or no such key.
    """
    method, _ = load_method_class(_find_method_of(spec))
    if method.reproduction is None:
        raise MetabenchError(
            f"method {method.name!r} has no experiment to reproduce; expected one that declares it"
        )
    return method, configure(method.name, method.reproduction(), overrides)


def pretrain(
    method: type[Method],
    config: Config,
    folder: Path,
    *,
    seed: int = 0,
    device: str = "cpu",
    threads: int = 1,
    progress: TrainingProgress | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Path:
    """Pretrain into `folder`, going on where an earlier attempt was stopped.

    Returns:
        The folder of the weights.

    Raises:
        MetabenchError: `folder` holds something else.
        CancelledError: `cancelled` said so; the same call goes on.
        ClaimedError: another process does the same.
    """
    clock: Clock

    def tick(stage: str, done: int, total: int, metrics: Mapping[str, float]) -> None:
        clock.tick()
        if progress is not None:
            progress(stage, done, total, metrics)

    run = _begin(method, config, folder, seed, device, tick, cancelled)
    with _hold(folder):
        clock = Clock(folder / CLOCK)
        try:
            with torch_settings(threads):
                weights = method.pretrain(config, run)
        finally:
            clock.write()
        identity = {"method": method.name, "config": config.model_dump(mode="json")}
        measured = {"seconds": clock.seconds} if clock.complete else {}
        save_state({**identity, **measured, **weights}, folder / WEIGHTS)
        write_whole(folder / CURVE, "".join(json.dumps(row) + "\n" for row in run.curve))
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
    return folder / WEIGHTS


def reproduce(
    method: type[Method],
    config: Config,
    folder: Path,
    *,
    seed: int = 0,
    device: str = "cpu",
    threads: int = 1,
    progress: TrainingProgress | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Sequence[Mapping[str, Any]]:
    """Repeat the paper's experiment; its table is also written to `rows.json` in `folder`. See `pretrain`."""
    run = _begin(method, config, folder, seed, device, progress, cancelled)
    with _hold(folder), torch_settings(threads):
        rows = [dict(row) for row in method.reproduce(config, run)]
    write_whole(folder / ROWS, json.dumps(rows, indent=1) + "\n")
    return rows


def _find_method_of(paper: str) -> str:
    """The method that has a paper's experiment where none is called as the paper; all else is what it is."""
    registered, made_of_it = list_methods(), f"{paper}-plus"
    return made_of_it if paper not in registered and made_of_it in registered else paper


def _begin(
    method: type[Method],
    config: Config,
    folder: Path,
    seed: int,
    device: str,
    progress: TrainingProgress | None,
    cancelled: Callable[[], bool],
) -> TrainingRun:
    code = digest_method_code(method)
    asked = {
        "method": method.name,
        "version": method.version,
        **({} if code is None else {"code": code}),
        "seed": seed,
        "config": config.model_dump(mode="json"),
    }
    path = folder / STARTED
    if path.exists():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise MetabenchError(
                f"{path}: damaged ({error}); delete the folder to start again"
            ) from error
        if found != asked:
            raise MetabenchError(
                f"{folder}: holds another run, of {_difference(found, asked)}; choose another folder"
            )
    elif folder.exists() and any(folder.iterdir()):
        raise MetabenchError(
            f"{folder}: expected a new or an empty folder, or one that the same command began"
        )
    else:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(asked, indent=1) + "\n")
    return TrainingRun(seed, device, folder / CHECKPOINTS, progress=progress, cancelled=cancelled)


@contextmanager
def _hold(folder: Path) -> Iterator[None]:
    """Keep other processes from training in a folder that has begun; raises `ClaimedError` if one does."""
    with (folder / STARTED).open("rb") as file:  # the lock goes when the file is closed
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ClaimedError(f"{folder}: another process is training in it") from error
        yield


def _difference(found: Any, asked: Mapping[str, Any]) -> str:
    """The first thing that is not as asked: `seed 3`."""
    if not isinstance(found, dict):
        return "an unknown kind"
    pairs = [(found, asked), (found.get("config", {}), asked["config"])]
    for there, here in pairs:
        for key, value in here.items():
            if key != "config" and there.get(key) != value:
                return f"{key} {there.get(key)!r}"
    return "other keys"
