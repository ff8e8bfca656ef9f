"""Repeating the training of a record, in a process of its own, to see whether the same policy comes out."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metabench.data.load import load_data, read_dataset_identity
from metabench.errors import MetabenchError, MethodError
from metabench.methods.contract import Policy
from metabench.methods.training_run import TrainingRun
from metabench.runs.again.evaluate_record import load_recorded_method
from metabench.runs.kept.record import Cell, Record
from metabench.suites import Suite, load_suite
from metabench.system.torch_settings import torch_settings


def retrain(record: Record, suite: Suite, spec: str, folder: Path, *, device: str) -> str:
    """Train with the record's configuration, seed, dataset and threads; the policy is saved in `folder`.

    The process is spawned, so a script that calls this needs an `if __name__ == "__main__"` guard.

    Args:
        record: the record.
        suite: its suite.
        spec: what `load_method` takes.
        folder: made, if need be.
        device: where to train: `cpu`, `cuda`, `cuda:1`.

    Returns:
        The digest of the data that it was trained on, which may be another than the record's.

    Raises:
        MethodError: the method or its data cannot be had, it has another version than in the record, it failed, or it
            ended the process.
    """
    result = record.result
    task = _Task(
        result.cell,
        result.configuration,
        suite.folder,
        spec,
        folder,
        device,
        record.provenance.threads,
    )
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        job = pool.submit(_attempt, task)
        try:
            digest, problem = job.result()
        except BrokenProcessPool as error:
            raise MethodError(f"method {spec!r}: training ended its process") from error
    if problem is not None:
        raise MethodError(problem)
    return digest


@dataclass(frozen=True)
class _Task:
    cell: Cell
    configuration: Mapping[str, Any]
    suite_folder: Path
    spec: str
    folder: Path
    device: str
    threads: int


def _attempt(task: _Task) -> tuple[str, str | None]:
    """The digest of the data, or what went wrong as a text: errors of plugins need not survive the way back."""
    try:
        return _train(task), None
    except MetabenchError as error:
        return "", str(error)
    except Exception as error:  # a plugin may raise anything
        return "", f"method {task.spec!r}: training raised {type(error).__name__}: {error}"


def _train(task: _Task) -> str:
    cell, suite = task.cell, load_suite(task.suite_folder)
    method = load_recorded_method(task.spec, task.configuration, cell.method_code)
    if method.version != cell.method_version:
        raise MethodError(
            f"method {task.spec!r}: the record is of its version {cell.method_version}, here it has {method.version}"
        )
    with torch_settings(task.threads):
        data = load_data(suite, cell.dataset)
        policy = method.train(data, TrainingRun(cell.seed, task.device))
        if not isinstance(policy, Policy):
            raise MethodError(
                f"method {task.spec!r}: train must return a Policy, not {type(policy).__name__}"
            )
        task.folder.mkdir(parents=True, exist_ok=True)
        policy.save(task.folder)
    return read_dataset_identity(suite, cell.dataset).digest
