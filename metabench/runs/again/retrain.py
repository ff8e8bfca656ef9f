"""Repeating the training of a record, in a process of its own, to see whether the same policy comes out."""

from __future__ import annotations

import tempfile
from pathlib import Path

from metabench.data.load import load_data, read_dataset_identity
from metabench.errors import MethodError
from metabench.runs.isolation.method_facts import find_facts
from metabench.runs.kept.record import Record
from metabench.runs.training.isolated_training import ForeignMethod, train_isolated
from metabench.runs.training.train_policy import TrainingTask
from metabench.suites import Suite
from metabench.system.foreign import copy_plain


def retrain(
    record: Record, suite: Suite, spec: str, folder: Path, device: str, *, confined: bool = True
) -> str:
    """Train with the record's configuration, seed, dataset and threads; the policy is saved in `folder`.

    Args:
        record: the record.
        suite: its suite.
        spec: what `load_method` takes.
        folder: made, if need be.
        device: where to train: `cpu`, `cuda`, `cuda:1`.
        confined: let the method's process write its policy and nothing else.

    Returns:
        The digest of the data that it was trained on, which may be another than the record's.

    Raises:
        MethodError: the method or its data cannot be had, it has another version than in the record, it failed, or it
            ended the process.
    """
    cell = record.result.cell
    (facts,) = find_facts(spec, cell.preset, [cell.suite], {}, confined=confined)
    if facts.privileged:
        raise MethodError(
            f"method {spec!r} is privileged: it is told the tasks, and its rows prove nothing"
        )
    if facts.version != cell.method_version:
        raise MethodError(
            f"method {spec!r}: the record is of its version {cell.method_version}, here it has {facts.version}"
        )
    load_data(suite, cell.dataset)  # builds what is missing
    labels = facts.uses_expert_labels
    task = TrainingTask(suite, cell.dataset, cell.seed, device, None, expert_labels=labels)
    method = ForeignMethod(spec, record.result.configuration, cell.method_code)
    with (
        tempfile.TemporaryDirectory(prefix="metabench-retrain-") as place,
        train_isolated(
            method,
            task,
            record.provenance.threads,
            Path(place),
            lambda stage, done, total, metrics: None,
            lambda: False,
            confined=confined,
        ) as (saved, _),
    ):
        copy_plain(saved, folder)
    return read_dataset_identity(suite, cell.dataset).digest
