"""What a report is about: a record, or a saved policy, and the policy that belongs to a record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metabench.errors import DataError, MetabenchError
from metabench.leaderboard.records import list_record_paths
from metabench.methods.configuring import find_overrides
from metabench.runs.kept.record import Cell, Record, read_record
from metabench.runs.kept.record_file import FAILED_SUFFIX, SUFFIX, strip_suffix
from metabench.runs.kept.saved_policy import FACTS, Training, read_training
from metabench.system.home import home

NO_NAME = "/\\\0"
"""Characters of paths: a record names its suite, and never a place on this machine."""


@dataclass(frozen=True)
class Subject:
    """A run, as far as it is at hand.

    Attributes:
        cell: which run it is.
        configuration: the full configuration.
        overrides: where it differs from the preset.
        privileged: the method is shown the test tasks.
        parameters: trained parameters that acting uses.
        training_tasks: tasks it was trained on.
        curve: what training logged.
        summary: what training found out about itself.
        record: the record; None where only a saved policy is given.
        folder: the folder of the saved policy; None where there is none.
        training: what is kept with the policy; None without it.
        lacking: why there is no policy; empty where there is one.
    """

    cell: Cell
    configuration: Mapping[str, Any]
    overrides: Mapping[str, Any]
    privileged: bool
    parameters: int
    training_tasks: int
    curve: Sequence[Mapping[str, float | int | str]]
    summary: Mapping[str, Any]
    record: Record | None
    folder: Path | None
    training: Training | None
    lacking: str = ""


def read_subject(run: Path, policy: Path | None = None) -> Subject:
    """Read what lies at `run`.

    Args:
        run: a record, a folder with one record in it, or the folder of a saved policy.
        policy: the folder of the record's policy; None looks where runs keep theirs.

    Raises:
        DataError: there is neither, or it is damaged; names file and key.
        MetabenchError: the policy is of another cell than the record.
    """
    if run.is_dir():
        for folder in (run, run / "trained"):
            if (folder / FACTS).exists():
                if policy is not None:
                    raise MetabenchError(
                        f"{run}: is the folder of a saved policy itself; --policy is for records"
                    )
                return _read_policy_subject(folder)
        return _read_record_subject(_find_only_record(run), policy)
    if not run.exists():
        raise DataError(
            f"{run}: no such file or folder; expected a record, or the folder of a saved policy"
        )
    if run.name.endswith(FAILED_SUFFIX):
        raise DataError(
            f"{run}: says why a cell failed and is no record; expected {_name_finished(run)}"
        )
    return _read_record_subject(run, policy)


def _name_finished(failed: Path) -> str:
    return strip_suffix(failed).name + SUFFIX


def _find_only_record(folder: Path) -> Path:
    found = list_record_paths(folder)
    if not found:
        raise DataError(f"{folder}: holds neither a record nor a saved policy ({FACTS})")
    if len(found) > 1:
        raise DataError(
            f"{folder}: holds {len(found)} records; name one of them, such as {found[0]}"
        )
    return found[0]


def _read_record_subject(path: Path, policy: Path | None) -> Subject:
    record = read_record(path)
    result = record.result
    if set(result.cell.suite) & set(NO_NAME):
        raise DataError(
            f"{path}: result.cell.suite: expected the name of a suite, found {result.cell.suite!r:.80}"
        )
    folder, training, lacking = _find_policy(record, policy)
    return Subject(
        cell=result.cell,
        configuration=result.configuration,
        overrides=result.overrides,
        privileged=result.privileged,
        parameters=result.parameters,
        training_tasks=result.training_tasks,
        curve=result.curve,
        summary=result.summary,
        record=record,
        folder=folder,
        training=training,
        lacking=lacking,
    )


def _read_policy_subject(folder: Path) -> Subject:
    training = read_training(folder)
    method = training.method()
    return Subject(
        cell=training.cell,
        configuration=method.config.model_dump(mode="json"),
        overrides=find_overrides(method, training.cell.preset, training.cell.suite),
        privileged=method.privileged,
        parameters=training.parameters,
        training_tasks=training.training_tasks,
        curve=training.curve,
        summary=training.summary,
        record=None,
        folder=folder,
        training=training,
    )


def _find_policy(record: Record, given: Path | None) -> tuple[Path | None, Training | None, str]:
    """The policy of a record's cell, what is kept with it, and why there is none."""
    cell = record.result.cell
    if given is not None:
        training = read_training(given)
        if training.cell != cell:
            raise MetabenchError(f"{given}: {_describe_difference(training.cell, cell)}")
        return given, training, ""
    kept = _find_kept_policy(record)
    if kept is None:
        return None, None, "its policy is not on this machine; give its folder with --policy"
    try:
        training = read_training(kept)
    except DataError as error:
        return None, None, str(error)
    if training.cell != cell:
        return None, None, f"{kept}: {_describe_difference(training.cell, cell)}"
    return kept, training, ""


def _find_kept_policy(record: Record) -> Path | None:
    """Where runs keep the policy of a record, if it is there; a record's names lead nowhere else."""
    try:
        folder = (home() / "policies" / record.folder).resolve()
        is_inside = folder.is_relative_to((home() / "policies").resolve())
        return folder if is_inside and folder.is_dir() else None
    except (OSError, ValueError):  # names that no file can have
        return None


def _describe_difference(found: Cell, expected: Cell) -> str:
    old, new = found.model_dump(), expected.model_dump()
    key = next(key for key in new if old[key] != new[key])
    return f"a policy of another cell: {key} is {old[key]!r:.80}, in the record {new[key]!r:.80}"
