"""The page: one file that opens from disk, and a small script of rows for each record."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from typing import Any

from metabench.leaderboard.entries import Entry, Estimate, Leaderboard, Source, Standing
from metabench.leaderboard.standings import distinct_labels
from metabench.runs.record import Record

SCRIPTS = ("format.js", "state.js", "plot.js", "table.js", "overall.js", "details.js", "main.js")
"""Parts of the page's script, in the order in which they are put together."""

_TEMPLATES = files("metabench.leaderboard") / "templates"
_DIGITS = 3


def render_page(board: Leaderboard, records: str | None = None) -> str:
    """The whole page with its aggregates inline; names appear as text, whatever they hold.

    Args:
        board: what to show.
        records: where records lie, relative to the page; None links to none.
    """
    style = _part("style.css")
    script = '"use strict";\n(() => {\n' + "\n".join(_part(name) for name in SCRIPTS) + "})();\n"
    parts = {
        "style": style,
        "style-hash": _content_hash(style),
        "script": script,
        "script-hash": _content_hash(script),
        "data": embedded_json(page_content(board, records)),
    }
    page = _part("page.html")
    pieces = page.split("{{")
    return pieces[0] + "".join(parts[name] + rest for name, _, rest in (piece.partition("}}") for piece in pieces[1:]))


def rows_script(record: Record, source: Source) -> str:
    """The script that hands the page one record's rows, configuration and provenance."""
    result = record.result
    content = {
        "contender": source.contender,
        "seed": source.seed,
        "path": source.path,
        "digest": record.digest,
        "configuration": result.configuration,
        "training_tasks": result.training_tasks,
        "summary": result.summary,
        "counts": result.counts.model_dump(mode="json"),
        "provenance": record.provenance.model_dump(mode="json"),
        "blocks": [
            {"split": block.split, "track": block.track, "shots": block.shots, "returns": _by_task(block.rows)}
            for block in result.blocks
        ],
    }
    return f"metabenchRows({embedded_json(content)});\n"


def embedded_json(content: Any) -> str:
    """JSON that can stand within HTML and scripts: nothing in it ends the element or starts a comment."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def page_content(board: Leaderboard, records: str | None) -> dict[str, Any]:
    """The aggregates as the page reads them: contenders once, entries short, numbers as precise as they are shown."""
    seeds: dict[str, list[list[Any]]] = {}
    for source in board.sources:
        seeds.setdefault(source.contender, []).append([source.seed, source.path])
    standings = {
        (standing.entry, each.split, each.track, each.shots): standing
        for each in board.boards
        for standing in each.standings
    }
    contenders: dict[str, dict[str, Any]] = {}
    entries = []
    labels = _labels(board)
    for entry in board.entries:
        if entry.id not in contenders:
            contenders[entry.id] = _contender(entry, labels[entry.id], seeds.get(entry.id, []))
        entries.append(_entry(entry, standings[entry.id, entry.split, entry.track, entry.shots]))
    return {
        "records": records,
        "seedsForAVerdict": board.seeds_for_a_verdict,
        "suites": {suite.name: suite.model_dump(mode="json", exclude={"name"}) for suite in board.suites},
        "contenders": contenders,
        "entries": entries,
        "overall": [
            overall.model_dump(mode="json", exclude={"rows": {"__all__": {"overrides"}}}) for overall in board.overall
        ],
    }


def _labels(board: Leaderboard) -> dict[str, str]:
    groups: dict[tuple[Any, ...], dict[str, Entry]] = {}
    for entry in board.entries:
        key = (entry.suite, entry.suite_digest, entry.dataset, entry.dataset_digest, entry.protocol, entry.preset)
        groups.setdefault(key, {})[entry.id] = entry
    return {name: label for group in groups.values() for name, label in distinct_labels(list(group.values())).items()}


def _contender(entry: Entry, label: str, seeds: list[list[Any]]) -> dict[str, Any]:
    return {
        "suite": entry.suite,
        "suiteVersion": entry.suite_version,
        "suiteDigest": entry.suite_digest[7:15],
        "dataset": entry.dataset,
        "datasetVersion": entry.dataset_version,
        "datasetDigest": entry.dataset_digest[7:15],
        "published": entry.data_as_published,
        "method": entry.method,
        "methodVersion": entry.method_version,
        "label": label,
        "overrides": entry.overrides,
        "preset": entry.preset,
        "config": entry.config_digest[7:15],
        "protocol": entry.protocol,
        "privileged": entry.privileged,
        "outdated": entry.outdated,
        "parameters": entry.parameters,
        "seconds": entry.seconds_training,
        "devices": entry.devices,
        "created": entry.created,
        "records": seeds,
    }


def _entry(entry: Entry, standing: Standing) -> dict[str, Any]:
    content = {
        "id": entry.id,
        "split": entry.split,
        "track": entry.track,
        "shots": entry.shots,
        "metric": entry.metric,
        "headline": _estimate(entry.headline),
        "iqm": _estimate(entry.iqm),
        "return": _estimate(entry.mean_return),
        "successAny": _estimate(entry.success_any),
        "successLast": _estimate(entry.success_last),
        "gap": _estimate(entry.bootstrap.optimality_gap if entry.bootstrap else None),
        "bootstrap": _estimate(entry.bootstrap.iqm if entry.bootstrap else None),
        "seeds": [
            [seed.seed, *(round(value, _DIGITS) for value in (seed.iqm, seed.mean, seed.median, seed.mean_return))]
            for seed in entry.seeds
        ],
        "collection": [_estimate(value) for value in entry.collection],
        "tasks": [[task.task, _estimate(task.score)] for task in entry.tasks],
        "missing": entry.missing,
        "rank": standing.rank,
        "difference": standing.difference,
        "differenceInterval": standing.interval,
        "improvement": standing.probability_of_improvement,
        "verdict": standing.verdict,
    }
    return {key: value for key, value in content.items() if value not in (None, [], ())}


def _estimate(estimate: Estimate | None) -> list[float] | None:
    if estimate is None:
        return None
    return [round(value, _DIGITS) for value in (estimate.mean, *(estimate.interval or ()))]


def _by_task(rows: tuple[Any, ...]) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    for row in sorted(rows, key=lambda row: (row.task, row.support, row.episode)):
        found.setdefault(row.task, []).append(round(row.total_return, _DIGITS))
    return found


def _part(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _content_hash(text: str) -> str:
    """What a content security policy admits an inline part by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
