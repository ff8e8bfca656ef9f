"""What is wrong with a folder of records, one line a finding."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from metabench.errors import DataError
from metabench.evaluation.protocol import (
    ARCHIVED_PROTOCOLS,
    PROTOCOL,
    SPLITS,
    VALIDATION,
    choose_shot_counts,
)
from metabench.evaluation.scores import score_rows
from metabench.leaderboard.method_card import MethodShelf, strip_variant
from metabench.leaderboard.records import (
    CARDS,
    README,
    find_cards_folder,
    find_records_folder,
    is_published,
    list_record_paths,
    read_records,
)
from metabench.leaderboard.scores.aggregate import aggregate
from metabench.leaderboard.scores.quotas import (
    Quotas,
    SuiteShelf,
    check_predictions,
    identify_block,
)
from metabench.leaderboard.submission.possible_numbers import RecordLimits, check_counts
from metabench.leaderboard.submission.possible_provenance import check_provenance
from metabench.leaderboard.submission.readme import MARK, render_readme
from metabench.methods.former_names import PRESENT_NAMES
from metabench.methods.requirements import NAME
from metabench.runs.kept.record import Cell, Record, Result, digest_of, read_record

_NAME = re.compile(rf"{NAME.pattern}(/{NAME.pattern})?")


@dataclass
class RecordChecker:
    """Checks records one after the other, and remembers them to find cells and rows that are given twice.

    Attributes:
        shelf: the suites.
        methods: the methods that may be named.
        published: the folder of published records: of an archived suite or protocol, only records that are there are
            let pass.
    """

    shelf: SuiteShelf = field(default_factory=SuiteShelf)
    methods: MethodShelf = field(default_factory=MethodShelf)
    published: Path | None = None
    _cells: dict[Cell, Path] = field(default_factory=dict)
    _limits: dict[str, RecordLimits] = field(default_factory=dict)
    _rows: dict[tuple[Hashable, int], Path] = field(default_factory=dict)
    _cardless: set[str] = field(default_factory=set)

    def find_problems(self, record: Record, path: Path) -> list[str]:
        """What is wrong with `record`, read from `path`; empty if it may be published."""
        cell = record.result.cell
        found = [
            f"{name}: expected letters, digits and . _ + -, found {value!r:.60}"
            for name in ("suite", "dataset", "method", "preset")
            if not _NAME.fullmatch(value := str(getattr(cell, name)))
            or (name != "method" and "/" in value)
        ]
        if cell in self._cells:
            found.append(f"the same cell as {self._cells[cell]}")
        if cell.protocol != PROTOCOL and not (
            cell.protocol in ARCHIVED_PROTOCOLS and is_published(record, self.published)
        ):
            found.append(f"protocol: expected {PROTOCOL}, found {cell.protocol}")
        if record.develops:
            found.append(
                f"split {VALIDATION}: expected {' or '.join(SPLITS)}; acting in validation tasks is for choosing "
                "between configurations and never ranked"
            )
        if cell.config_digest != digest_of(record.result.configuration):
            found.append("config_digest: does not match the configuration")
        found += check_provenance(record.provenance)
        found += self._check_method(record)
        quotas = self.shelf.find_quotas(cell.suite, cell.suite_version)
        if isinstance(quotas, str):
            found.append(quotas)
        else:
            if quotas.suite.archived and not is_published(record, self.published):
                found.append(
                    f"suite {quotas.suite.identity} is archived: new records are made with {cell.suite!r}"
                )
            found += _check_suite_of_cell(cell, quotas)
            if cell.suite_digest == quotas.suite.digest:
                rows = self._check_rows(record.result, quotas)
                found += rows or (
                    [] if quotas.suite.archived else self._find_twins(record.result, path)
                )
        self._cells.setdefault(
            cell, path
        )  # the first one stays: later ones are told to be the same as it
        return found

    def _check_method(self, record: Record) -> Iterator[str]:
        result = record.result
        method, code = result.cell.method, result.cell.method_code
        if self.methods.is_built_in(method):
            if code is not None:
                yield f"method_code: {method!r} comes with metabench; code of another kind needs another name"
        elif record.schema_version > 1 and code is None:
            yield f"method_code: expected the hash of the code of {method!r:.60}, found none"
        told = {part.role: part.digest for part in record.provenance.foreign_code}
        expected = {"method": code, "suite": result.cell.suite_code}
        if told != {role: digest for role, digest in expected.items() if digest is not None}:
            yield "provenance.foreign_code: expected the code that the cell names, found other"
        if result.privileged and not self.methods.is_built_in(method):
            yield "privileged: only metabench's own teacher and blind policy are shown so"
        name = strip_variant(method)
        if name in PRESENT_NAMES and result.cell.protocol == PROTOCOL:
            yield f"method: expected {PRESENT_NAMES[name]!r}, found {name!r}, its name in archived records"
        if self.methods.lacks_card(method) and name not in self._cardless:
            self._cardless.add(name)  # said once a method, not once a record
            yield f"method {name!r:.60} has no card; metabench leaderboard new-card writes one to fill in"

    def _check_rows(self, result: Result, quotas: Quotas) -> list[str]:
        limits = self._find_limits(quotas)
        found = [] if result.blocks or result.predictions else ["blocks: there is none"]
        keys = [identify_block(block) for block in result.blocks]
        found += [
            f"{key}: given twice" for key in sorted({key for key in keys if keys.count(key) > 1})
        ]
        for block in result.blocks:
            findings: Iterable[str] = quotas.check_block(block)
            if not findings:
                findings = limits.check_rows(block.rows)
                try:
                    score_rows(block.rows, quotas.suite)
                except DataError as error:
                    findings = [*findings, str(error)]
            found += [f"{identify_block(block)}: {finding}" for finding in findings]
        for split, track in dict.fromkeys((key.split, key.track) for key in keys):
            there = {key.shots for key in keys if (key.split, key.track) == (split, track)}
            absent = [
                str(count)
                for count in choose_shot_counts(quotas.suite, split, track)
                if count not in there
            ]
            if absent:
                found.append(
                    f"{split} {track}: rows with {', '.join(absent)} shots are missing; a run has them all"
                )
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
                findings = quotas.check_collection(collection, shots[collection.split])
                findings = findings or limits.check_rows(collection.rows)
                found += [f"{collection.split} collection: {finding}" for finding in findings]
        predictions = result.predictions or ()
        if len({each.split for each in predictions}) < len(predictions):
            found.append("predictions: a split is given twice")
        for each in predictions:
            problems = check_predictions(each, quotas.suite)
            found += [f"{each.split} prediction: {problem}" for problem in problems]
        return found + check_counts(result, quotas.suite)

    def _find_twins(self, result: Result, path: Path) -> Iterator[str]:
        """Whether another seed of the same method has these very rows."""
        cell = result.cell
        contender = cell.model_copy(update={"seed": 0})
        # A hash of the rows, not themselves: those of all records would be kept otherwise.
        key = (contender, hash((result.blocks, result.collections)))
        twin = self._rows.setdefault(key, path)
        if (
            twin == path or cell in self._cells
        ):  # the first of its kind, or told as the same cell already
            return
        parts = [
            *(block.rows for block in result.blocks),
            *(part.rows for part in result.collections),
        ]
        settled = all(
            self._limits[f"{cell.suite}-v{cell.suite_version}"].lies_at_bounds(rows)
            for rows in parts
        )
        if not settled and self.methods.trains_randomly(cell.method):
            yield f"all rows are those of {twin}, another seed, and training is random"

    def _find_limits(self, quotas: Quotas) -> RecordLimits:
        name = quotas.suite.identity
        if name not in self._limits:
            self._limits[name] = RecordLimits(quotas.suite)
        return self._limits[name]


def check_records(
    folder: Path, shelf: SuiteShelf | None = None, published: Path | None = None
) -> Iterator[str]:
    """Check all records and cards of `folder`; yields `path: what is wrong` for each finding.

    Args:
        folder: a folder of records, or one with `records` and `methods` in it: a submission, a leaderboard.
        shelf: the suites; by default those of the registry.
        published: the folder of published records: of an archived suite, only records that are there are let pass.

    Raises:
        DataError: there is no such folder.
    """
    place = find_records_folder(folder)
    paths = list_record_paths(place)
    shelf = shelf or SuiteShelf()
    methods = MethodShelf().add_folder(find_cards_folder(folder), Path(CARDS))
    yield from methods.findings
    clean = not methods.findings
    checker = RecordChecker(shelf, methods, published)
    for path in paths:
        shown = path.relative_to(place)
        for finding in _check_file(path, shown, checker):
            clean = False
            yield finding
    if clean and place != folder:
        yield from _check_readme(folder / README, place, methods, shelf)


def _check_file(path: Path, shown: Path, checker: RecordChecker) -> Iterator[str]:
    try:
        record = read_record(path)
    except DataError as error:
        yield str(error).replace(str(path), str(shown), 1)
        return
    if shown != record.path:
        yield f"{shown}: expected at {record.path}, where its cell belongs"
    for finding in checker.find_problems(record, shown):
        yield f"{shown}: {finding}"


def _check_readme(
    path: Path, records: Path, methods: MethodShelf, shelf: SuiteShelf
) -> Iterator[str]:
    """Whether the README of a submission says what its records give."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return
    if text.startswith(MARK):
        entries = aggregate((record for _, record in read_records(records)), shelf)
        if text != render_readme(methods.cards, entries):
            yield f"{path.name}: its tables are not what the records and cards give"


def _check_suite_of_cell(cell: Cell, quotas: Quotas) -> list[str]:
    suite = quotas.suite
    found = []
    if suite.entry.internal:
        found.append(f"suite {suite.name} is for tests and not part of leaderboards")
    if cell.suite_version != suite.entry.version:
        earlier = ", which is not archived" if cell.suite_version < suite.entry.version else ""
        found.append(
            f"suite_version: expected {suite.entry.version}, found {cell.suite_version}{earlier}"
        )
    elif cell.suite_digest != suite.digest:
        found.append(
            f"suite_digest: expected {suite.digest:.15}..., found {cell.suite_digest:.15}..."
        )
    elif cell.suite_code != (code := suite.code_digest):
        found.append(
            f"suite_code: expected {code or 'none':.15}, found {cell.suite_code or 'none':.15}"
        )
    if cell.dataset not in suite.entry.datasets:
        found.append(
            f"dataset: expected one of {', '.join(sorted(suite.entry.datasets))}, found {cell.dataset!r:.60}"
        )
    return found
