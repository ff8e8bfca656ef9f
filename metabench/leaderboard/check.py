"""What is wrong with a folder of records, one line a finding."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from metabench.errors import DataError
from metabench.evaluation.protocol import PROTOCOL
from metabench.evaluation.scores import score_rows
from metabench.leaderboard.completeness import Quotas, SuiteShelf, key_of
from metabench.leaderboard.files import record_paths
from metabench.runs.record import Cell, Record, digest_of, read_record

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*(/[A-Za-z0-9][A-Za-z0-9._+-]*)?")


@dataclass
class RecordChecker:
    """Checks records one after the other, and remembers cells to find those given twice."""

    shelf: SuiteShelf = field(default_factory=SuiteShelf)
    _cells: dict[Cell, Path] = field(default_factory=dict)

    def findings(self, record: Record, path: Path) -> list[str]:
        """What is wrong with `record`, read from `path`; empty if it may be published."""
        cell = record.result.cell
        found = [
            f"{name}: expected letters, digits and . _ + -, found {value!r:.60}"
            for name in ("suite", "dataset", "method", "preset")
            if not _NAME.fullmatch(value := str(getattr(cell, name))) or (name != "method" and "/" in value)
        ]
        if cell in self._cells:
            found.append(f"the same cell as {self._cells[cell]}")
        self._cells.setdefault(cell, path)
        if cell.protocol != PROTOCOL:
            found.append(f"protocol: expected {PROTOCOL}, found {cell.protocol}")
        if cell.config_digest != digest_of(record.result.configuration):
            found.append("config_digest: does not match the configuration")
        quotas = self.shelf.quotas(cell.suite)
        if isinstance(quotas, str):
            return [*found, quotas]
        return [*found, *_suite_findings(cell, quotas), *_row_findings(record, quotas)]


def check_records(folder: Path, shelf: SuiteShelf | None = None) -> Iterator[str]:
    """Check all records below `folder`; yields `path: what is wrong` for each finding.

    Raises:
        DataError: there is no such folder.
    """
    checker = RecordChecker(shelf or SuiteShelf())
    for path in record_paths(folder):
        shown = path.relative_to(folder)
        try:
            record = read_record(path)
        except DataError as error:
            yield str(error).replace(str(path), str(shown), 1)
            continue
        if shown != record.result.cell.path:
            yield f"{shown}: expected at {record.result.cell.path}, where its cell belongs"
        for finding in checker.findings(record, shown):
            yield f"{shown}: {finding}"


def _suite_findings(cell: Cell, quotas: Quotas) -> list[str]:
    suite = quotas.suite
    found = []
    if suite.entry.internal:
        found.append(f"suite {suite.name} is for tests and not part of leaderboards")
    if cell.suite_version != suite.entry.version:
        found.append(f"suite_version: expected {suite.entry.version}, found {cell.suite_version}")
    elif cell.suite_digest != suite.digest:
        found.append(f"suite_digest: expected {suite.digest:.15}..., found {cell.suite_digest:.15}...")
    if cell.dataset not in suite.entry.datasets:
        found.append(f"dataset: expected one of {', '.join(sorted(suite.entry.datasets))}, found {cell.dataset!r:.60}")
    return found


def _row_findings(record: Record, quotas: Quotas) -> list[str]:
    result = record.result
    if result.cell.suite_digest != quotas.suite.digest:
        return []
    found = [] if result.blocks else ["blocks: there is none"]
    keys = [key_of(block) for block in result.blocks]
    found += [f"{key}: given twice" for key in sorted({key for key in keys if keys.count(key) > 1})]
    for block in result.blocks:
        findings = quotas.block_findings(block)
        found += [f"{key_of(block)}: {finding}" for finding in findings]
        if not findings:
            try:
                score_rows(block.rows, quotas.suite)
            except DataError as error:
                found.append(f"{key_of(block)}: {error}")
    shots: dict[str, int] = {}
    for key in keys:
        if key.track == "few-shot":
            shots[key.split] = max(key.shots, shots.get(key.split, 0))
    collected = [collection.split for collection in result.collections]
    if sorted(collected) != sorted(shots):
        found.append(
            f"collections: expected one of each split with few-shot rows ({', '.join(sorted(shots)) or 'none'}), "
            f"found {', '.join(sorted(collected)) or 'none'}"
        )
    for collection in result.collections:
        if collection.split in shots:
            findings = quotas.collection_findings(collection, shots[collection.split])
            found += [f"{collection.split} collection: {finding}" for finding in findings]
    steps = {
        "scored_steps": sum(row.length for block in result.blocks for row in block.rows),
        "support_steps": sum(row.length for collection in result.collections for row in collection.rows),
    }
    for name, expected in steps.items():
        counted = getattr(result.counts, name)
        if counted != expected:
            found.append(f"counts.{name}: the rows' lengths sum to {expected}, found {counted}")
    return found
