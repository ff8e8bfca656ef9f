"""Records, method cards and policies in one folder, ready for a pull request."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from metabench.errors import DataError, UnknownNameError
from metabench.leaderboard.method_card import MethodCard, read_card, strip_variant
from metabench.leaderboard.records import (
    CARDS,
    POLICIES,
    README,
    RECORDS,
    find_records_folder,
    list_record_paths,
)
from metabench.leaderboard.scores.aggregate import aggregate
from metabench.leaderboard.scores.quotas import SuiteShelf
from metabench.leaderboard.submission.check import check_records
from metabench.leaderboard.submission.readme import name_scored_block, render_readme
from metabench.runs.kept.record import Record, read_record
from metabench.runs.kept.saved_policy import FACTS, copy_trained, read_training
from metabench.system.home import home
from metabench.system.writing import write_whole


@dataclass(frozen=True)
class Submission:
    """What became of a results folder.

    Attributes:
        records: how many records were collected.
        left_out: methods whose records were not, as no card is theirs.
        missing: what of the protocol the records lack: no mistake, but shown on the page.
        findings: what is wrong, one line each; then nothing was written at all.
    """

    records: int
    left_out: tuple[str, ...]
    missing: tuple[str, ...]
    findings: tuple[str, ...]


def make_submission(
    results: Path,
    cards: Sequence[Path],
    out: Path,
    *,
    with_policies: bool = False,
    policies: Path | None = None,
    shelf: SuiteShelf | None = None,
) -> Submission:
    """Collect the records of the cards' methods into the new folder `out`, if nothing is wrong with them.

    Args:
        results: a results folder, or one record.
        cards: the methods' cards; without any, all records must be of methods that come with metabench.
        out: gets `records`, `methods`, `policies` and README.md.
        with_policies: put the saved policies beside the records.
        policies: where they are, by the records' paths; None is `home()/policies`.
        shelf: the suites; by default those of the registry.

    Raises:
        DataError: a card or a policy is missing or wrong, or `out` is there already.
        UnknownNameError: there is no record of a card's method.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: exists already; expected a new folder")
    read = {card.name: card for card in map(read_card, cards)}
    paths = [results] if results.is_file() else list_record_paths(find_records_folder(results))
    if not paths:
        raise DataError(f"{results}: holds no record")
    records: dict[Path, Record] = {}
    findings = []
    for path in paths:
        try:
            records[path] = read_record(path)
        except DataError as error:
            findings.append(str(error))
    methods = {strip_variant(record.result.cell.method) for record in records.values()}
    for name in read:
        if name not in methods and not findings:
            raise UnknownNameError(f"method in {results}", name, methods)
    chosen = {
        path: record
        for path, record in records.items()
        if not read or strip_variant(record.result.cell.method) in read
    }
    findings += [
        f"{path}: privileged: told the tasks, or trained in the simulator; such rows are not submitted"
        for path, record in chosen.items()
        if record.result.privileged
    ]
    left_out = tuple(sorted(methods - read.keys())) if read else ()
    if findings:
        return Submission(0, left_out, (), tuple(findings))
    # Made beside its place and moved there at the end: a submission is whole or not there.
    fresh = out.with_name(f".{out.name}.{os.getpid()}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        _fill_folder(fresh, chosen, read, dict(zip(read, cards, strict=True)))
        found = tuple(check_records(fresh, shelf))
        if found:
            return Submission(0, left_out, (), found)
        if with_policies:
            _copy_policies(chosen, policies or home() / "policies", fresh / POLICIES)
        entries = aggregate(chosen.values(), shelf)
        write_whole(fresh / README, render_readme(read, entries))
        if out.exists():  # and empty, as was checked
            out.rmdir()
        os.replace(fresh, out)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    missing = tuple(
        f"{name_scored_block(entry)}: {text}" for entry in entries for text in entry.missing
    )
    return Submission(len(chosen), left_out, missing, ())


def _fill_folder(
    folder: Path,
    records: Mapping[Path, Record],
    cards: Mapping[str, MethodCard],
    sources: Mapping[str, Path],
) -> None:
    """Copy records to where their cells belong, those of one place side by side, and cards to their names."""
    (folder / RECORDS).mkdir(parents=True)
    for path, record in records.items():
        place = folder / RECORDS / _require_below(record.path, path)
        if place.exists():
            raise DataError(f"{path}: another record belongs in the same place, {record.path}")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    for name in cards:
        write_whole(folder / CARDS / f"{name}.toml", sources[name].read_text(encoding="utf-8-sig"))


def _require_below(place: Path, source: Path) -> Path:
    """`place` if it stays below the folder that it is put in; names in records are not to be trusted."""
    if place.is_absolute() or ".." in place.parts:
        raise DataError(f"{source}: its names lead out of the folder: {place}")
    return place


def _copy_policies(records: Mapping[Path, Record], policies: Path, folder: Path) -> None:
    for path, record in records.items():
        cell = record.result.cell
        source = policies / record.folder
        if not (source / FACTS).exists():
            raise DataError(
                f"{path}: its policy is not at {source}, where a run keeps it; go without --checkpoints"
            )
        if read_training(source).cell != cell:
            raise DataError(f"{source}: holds the policy of another cell than {path}")
        copy_trained(source, folder / record.folder)
