"""From a folder of records to leaderboard.json, CSV, schemas and the page."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from metabench.errors import DataError
from metabench.evaluation.protocol import PROTOCOL
from metabench.evaluation.statistics import CONFIDENCE
from metabench.evaluation.verdicts import SEEDS_FOR_A_VERDICT, TASKS_FOR_A_VERDICT
from metabench.leaderboard.export.formats import format_as_csv
from metabench.leaderboard.method_card import MethodShelf
from metabench.leaderboard.method_descriptions import describe_methods
from metabench.leaderboard.page.page import make_rows_script, render_page
from metabench.leaderboard.predictions.boards import (
    PredictedRecord,
    make_prediction_boards,
    note_predictions,
)
from metabench.leaderboard.predictions.table import format_predictions_as_csv
from metabench.leaderboard.records import BUILT_FILE, find_cards_folder, read_records
from metabench.leaderboard.scores.aggregate import aggregate
from metabench.leaderboard.scores.gather import hash_contender, identify_contender
from metabench.leaderboard.scores.models import LeaderboardEntry
from metabench.leaderboard.scores.overall import make_overall_tables
from metabench.leaderboard.scores.quotas import SuiteShelf
from metabench.leaderboard.scores.standings import make_boards
from metabench.leaderboard.scores.tables import (
    Leaderboard,
    MethodDescription,
    PredictionBoard,
    Source,
)
from metabench.leaderboard.suite_summary import summarise_suite
from metabench.runs.kept.record import Record, digest_of
from metabench.system.writing import write_whole, writing

WRITTEN = (
    BUILT_FILE,
    "leaderboard.csv",
    "predictions.csv",
    "leaderboard.schema.json",
    "record.schema.json",
    "index.html",
)

ROWS = "rows"
"""Folder beside the page with one small script a record, loaded when a reader asks for it."""


def build_leaderboard(records: Path, output: Path, shelf: SuiteShelf | None = None) -> Leaderboard:
    """Write all that the leaderboard consists of into `output`; the same records give the same bytes.

    Args:
        records: a folder of records; cards of submitted methods lie beside it, in `methods`.
        output: gets leaderboard.json, leaderboard.csv, predictions.csv, index.html, rows/ and the two schemas.
        shelf: the suites to score with; by default those of the registry.

    Raises:
        DataError: there is no such folder, a record in it is not valid, two are of one cell, or `output` holds
            something else under a name that would be written.
        StorageError: the disk is full, read-only or fails; what `output` held before is as it was.
    """
    _check_output(output)
    shelf = shelf or SuiteShelf()
    sources: list[Source] = []  # filled while `aggregate` reads the records, each of them once
    fresh = output / ".building"
    with writing(output):
        try:
            shutil.rmtree(fresh, ignore_errors=True)
            (fresh / ROWS).mkdir(parents=True)
            predicted: list[PredictedRecord] = []  # filled likewise
            read = _write_rows_and_pass_on(records, sources, fresh / ROWS)
            entries = aggregate(note_predictions(read, predicted), shelf)
            cards = MethodShelf().add_folder(find_cards_folder(records))
            names = {entry.method for entry in entries}
            names |= {each.contender.method for each in predicted if each.predictions}
            methods = describe_methods(names, cards)
            board = compile_leaderboard(entries, sources, shelf, methods, predicted)
            texts = (
                board.model_dump_json(indent=1) + "\n",
                format_as_csv(board.entries),
                format_predictions_as_csv(board.predictions),
                render_schema(Leaderboard.model_json_schema(mode="serialization")),
                render_schema(Record.model_json_schema(mode="serialization")),
                render_page(board, _link_to_records(records, output)),
            )
            for name, text in zip(WRITTEN, texts, strict=True):
                write_whole(fresh / name, text)
            _put_in_place(fresh, output)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return board


def _label_as_on_boards(board: PredictionBoard, labels: Mapping[str, str]) -> PredictionBoard:
    """Methods are called as in the other tables, which tell versions and codes apart."""
    standings = tuple(
        each.model_copy(update={"label": labels.get(each.entry, each.label)})
        for each in board.standings
    )
    return board.model_copy(update={"standings": standings})


def compile_leaderboard(
    entries: list[LeaderboardEntry],
    sources: list[Source],
    shelf: SuiteShelf,
    methods: dict[str, MethodDescription],
    predicted: Sequence[PredictedRecord] = (),
) -> Leaderboard:
    """Put standings, overall tables, prediction boards and what is known of `methods` beside `entries`."""
    labels = {entry.id: entry.label for entry in entries}
    predictions = [
        _label_as_on_boards(each, labels) for each in make_prediction_boards(predicted, shelf)
    ]
    shown = {(entry.suite, entry.suite_version) for entry in entries}
    shown |= {(each.suite, each.suite_version) for each in predictions}
    suites = [suite for suite in shelf.list_loaded() if (suite.name, suite.entry.version) in shown]
    seen = [suite.name for suite in suites if suite.entry.seen_tasks and not suite.archived]
    # The digest decides between records of one moment: the result must not depend on the order of reading.
    newest = max(sources, key=lambda source: (source.created, source.digest), default=None)
    return Leaderboard(
        protocol=PROTOCOL,
        confidence=CONFIDENCE,
        seeds_for_a_verdict=SEEDS_FOR_A_VERDICT,
        tasks_for_a_verdict=TASKS_FOR_A_VERDICT,
        updated=newest.created if newest else None,
        revision=newest.git_revision if newest else None,
        digest=digest_of(sorted(source.digest for source in sources)),
        methods=methods,
        suites=tuple(summarise_suite(suite) for suite in suites),
        entries=tuple(entries),
        boards=tuple(make_boards(entries)),
        overall=tuple(make_overall_tables(entries, seen)),
        predictions=tuple(predictions),
        sources=tuple(sorted(sources, key=lambda source: (source.contender, source.seed))),
    )


def render_schema(schema: dict[str, Any]) -> str:
    """A JSON Schema as text, naming its dialect."""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps({**dialect, **schema}, indent=1, ensure_ascii=False) + "\n"


def _check_output(output: Path) -> None:
    """Raise `DataError` if what would be written over is not what an earlier build wrote."""
    taken = [name for name in (*WRITTEN, ROWS) if (output / name).exists()]
    if not taken:
        return
    try:
        board = json.loads((output / BUILT_FILE).read_bytes())
        built = {"schema_version", "protocol", "entries", "sources"} <= set(board)
    except (OSError, ValueError, TypeError, RecursionError):
        built = False
    if not built:
        raise DataError(
            f"{output}: holds {taken[0]}, but no {BUILT_FILE} of an earlier build; it is not overwritten: choose "
            "another folder, or move it away"
        )


def _put_in_place(fresh: Path, output: Path) -> None:
    """Put all that is in `fresh` into `output`, when nothing is left to write that could fail."""
    # Away first: a folder takes only an empty one's place, and rows of records that are gone must go as well.
    shutil.rmtree(output / ROWS, ignore_errors=True)
    for path in fresh.iterdir():
        os.replace(path, output / path.name)


def _write_rows_and_pass_on(folder: Path, sources: list[Source], rows: Path) -> Iterator[Record]:
    """Pass records on, but for those of validation tasks; note each one's source and write its rows."""
    for path, record in read_records(folder):
        if record.develops:
            continue
        source = _describe_source(record, path.relative_to(folder))
        sources.append(source)
        (rows / f"{source.contender}-{source.seed}.js").write_text(
            make_rows_script(record, source), encoding="utf-8"
        )
        yield record


def _describe_source(record: Record, path: Path) -> Source:
    provenance = record.provenance
    return Source(
        contender=hash_contender(identify_contender(record)),
        seed=record.result.cell.seed,
        path=path.as_posix(),
        digest=record.digest,
        **provenance.model_dump(
            include=set(Source.model_fields) & set(type(provenance).model_fields)
        ),
    )


def _link_to_records(records: Path, output: Path) -> str | None:
    """How the page links to records: only where they lie below it, so that the link is the same everywhere."""
    folder, page = records.resolve(), output.resolve()
    return folder.relative_to(page).as_posix() if folder.is_relative_to(page) else None
