"""The only way into the published records: checked, then copied."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from metabench.errors import DataError
from metabench.leaderboard.check import RecordChecker
from metabench.leaderboard.files import record_paths
from metabench.runs.record import read_record, write_record


@dataclass(frozen=True)
class Addition:
    """What became of the records of a results folder.

    Attributes:
        added: paths of new records, below the folder of records.
        unchanged: paths of records that were there already, with the same result.
        findings: what is wrong, one line each; then nothing was added at all.
    """

    added: tuple[Path, ...]
    unchanged: tuple[Path, ...]
    findings: tuple[str, ...]


def add_records(results: Path, records: Path, *, replace: bool = False) -> Addition:
    """Copy the finished records below `results` into `records`: all of them, or none if one is not fit.

    Args:
        results: a results folder, or one record.
        records: the folder of published records; made if missing.
        replace: let a record take the place of the one of the same path: another result, or the same one come about
            otherwise (its provenance).

    Raises:
        DataError: there is no such folder, or no record in it.
    """
    paths = [results] if results.is_file() else record_paths(results)
    if not paths:
        raise DataError(f"{results}: holds no record")
    checker = RecordChecker()
    chosen: dict[Path, Path] = {}
    unchanged, findings = [], []
    for path in paths:
        try:
            record = read_record(path)
        except DataError as error:
            findings.append(str(error))
            continue
        found = checker.findings(record, path)
        findings += [f"{path}: {finding}" for finding in found]
        if found:
            continue
        place = record.result.cell.path
        try:
            same = (records / place).exists() and read_record(records / place).digest == record.digest
        except DataError:
            same = False
        if same and not replace:
            unchanged.append(place)
        elif place in chosen:
            findings.append(f"{path}: belongs where {chosen[place]} does, at {place}")
        elif (records / place).exists() and not replace:
            findings.append(f"{path}: {records / place} holds another result; --replace puts this one in its place")
        else:
            chosen[place] = path
    if findings:
        return Addition((), (), tuple(findings))
    for place, path in chosen.items():
        write_record(read_record(path), records / place)
    return Addition(tuple(chosen), tuple(unchanged), ())
