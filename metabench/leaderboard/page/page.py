"""The page: one file that opens from disk, and a small script of rows for each record."""

from __future__ import annotations

import json
from typing import Any

from markupsafe import Markup

from metabench.leaderboard.page.fill_template import (
    fill_template,
    hash_inline_part,
    read_page_style,
    read_template,
)
from metabench.leaderboard.page.page_content import DIGITS, make_page_content
from metabench.leaderboard.scores.tables import Leaderboard, Source
from metabench.runs.kept.record import Record

SCRIPTS = (
    *("format.js", "links.js", "state.js", "downloads.js", "cite.js", "columns.js"),
    *(
        f"figures/{name}"
        for name in (
            "save_svg.js",
            "plot.js",
            "adaptation.js",
            "profile.js",
            "tasks.js",
            "figures.js",
            "prediction_figures.js",
            "acting.js",
        )
    ),
    *("table.js", "overall.js", "prediction.js", "details.js", "main.js"),
)
"""Parts of the page's script, in the order in which they are put together."""


def render_page(board: Leaderboard, records: str | None = None) -> str:
    """The whole page with its aggregates inline; names appear as text, whatever they hold.

    Args:
        board: what to show.
        records: where records lie, relative to the page; None links to none.
    """
    style = read_page_style()
    # One function around all parts: they share names with each other, and none with the page.
    script = '"use strict";\n(() => {\n' + "\n".join(map(read_template, SCRIPTS)) + "})();\n"
    parts = {
        "style": Markup(style),
        "style_hash": Markup(hash_inline_part(style)),
        "script": Markup(script),
        "script_hash": Markup(hash_inline_part(script)),
        "data": Markup(embed_json(make_page_content(board, records))),
    }
    return fill_template(read_template("page.html"), parts)


def make_rows_script(record: Record, source: Source) -> str:
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
            {
                "split": block.split,
                "track": block.track,
                "shots": block.shots,
                "returns": _group_returns_by_task(block.rows),
            }
            for block in result.blocks
        ],
    }
    return f"metabenchRows({embed_json(content)});\n"


def embed_json(content: Any) -> str:
    """JSON that can stand within HTML and scripts: nothing in it ends the element or starts a comment."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # "<" could begin "</script>" or "<!--", and the last two end lines in older scripts; JSON has escapes for all.
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _group_returns_by_task(rows: tuple[Any, ...]) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    for row in sorted(rows, key=lambda row: (row.task, row.support, row.episode)):
        found.setdefault(row.task, []).append(round(row.total_return, DIGITS))
    return found
