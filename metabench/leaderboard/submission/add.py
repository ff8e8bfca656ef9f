"""The only way into the published records: checked, then copied."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from metabench.errors import DataError
from metabench.leaderboard.method_card import MethodShelf, strip_variant
from metabench.leaderboard.records import (
    find_cards_folder,
    find_records_folder,
    is_published,
    list_record_paths,
)
from metabench.leaderboard.scores.quotas import SuiteShelf
from metabench.leaderboard.submission.check import RecordChecker
from metabench.runs.kept.record import read_record, write_record
from metabench.system.writing import write_whole


@dataclass(frozen=True)
class Addition:
    """What became of the records of a results folder.

    Attributes:
        added: paths of new records, below the folder of records.
        unchanged: paths of records that were there already, with the same result.
        findings: what is wrong, one line each; then nothing was added at all.
        cards: names of methods whose cards were added with them.
    """

    added: tuple[Path, ...]
    unchanged: tuple[Path, ...]
    findings: tuple[str, ...]
    cards: tuple[str, ...] = ()


def add_records(
    results: Path, records: Path, *, replace: bool = False, shelf: SuiteShelf | None = None
) -> Addition:
    """Copy the finished records of `results` into `records`: all of them, or none if one is not fit.

    The cards of their methods are copied into `methods`, beside `records`.

    Args:
        results: a results folder, a submission, or one record.
        records: the folder of published records; made if missing.
        replace: let a record take the place of the one of the same path: another result, or the same one come about
            otherwise (its provenance); and a card that of another content.
        shelf: the suites; by default those of the registry.

    Raises:
        DataError: there is no such folder, or no record in it.
    """
    paths = [results] if results.is_file() else list_record_paths(find_records_folder(results))
    if not paths:
        raise DataError(f"{results}: holds no record")
    published = MethodShelf().add_folder(find_cards_folder(records))
    given = (
        MethodShelf() if results.is_file() else MethodShelf().add_folder(find_cards_folder(results))
    )
    findings = [*given.findings]
    checker = RecordChecker(
        shelf or SuiteShelf(), MethodShelf({**published.cards, **given.cards}), records
    )
    chosen: dict[Path, Path] = {}
    unchanged, methods = [], set()
    for path in paths:
        try:
            record = read_record(path)
        except DataError as error:
            findings.append(str(error))
            continue
        methods.add(strip_variant(record.result.cell.method))
        found = checker.find_problems(record, path)
        findings += [f"{path}: {finding}" for finding in found]
        if found:
            continue
        place = record.path
        if is_published(record, records) and not replace:
            unchanged.append(place)
        elif place in chosen:
            findings.append(f"{path}: belongs where {chosen[place]} does, at {place}")
        elif (records / place).exists() and not replace:
            findings.append(
                f"{path}: {records / place} holds another result; --replace puts this one in its place"
            )
        else:
            chosen[place] = path
    cards = [
        name
        for name in sorted(methods & given.cards.keys())
        if published.cards.get(name) != given.cards[name]
    ]
    if not replace:
        findings += [
            f"{find_cards_folder(results) / name}.toml: another card of this method is published; "
            "--replace puts this one in its place"
            for name in cards
            if name in published.cards
        ]
    if findings:  # nothing has been written so far: all of it is added, or none
        return Addition((), (), tuple(findings))
    for place, path in chosen.items():
        write_record(read_record(path), records / place)
    for name in cards:
        text = (find_cards_folder(results) / f"{name}.toml").read_text(encoding="utf-8-sig")
        write_whole(find_cards_folder(records) / f"{name}.toml", text)
    return Addition(tuple(chosen), tuple(unchanged), (), tuple(cards))
