"""Comparisons as text in every format: CSV, JSON, LaTeX and Markdown."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable, Mapping

from metabench.errors import UnknownNameError
from metabench.leaderboard.compare.comparison_sheets import (
    explain_columns,
    make_detail_sheets,
    make_summary_sheets,
)
from metabench.leaderboard.compare.models import (
    Comparison,
    Difference,
    Side,
)
from metabench.leaderboard.export.text_tables import (
    Sheet,
    format_sheets_as_latex,
    format_sheets_as_markdown,
)
from metabench.leaderboard.scores.models import Estimate

_CSV_COLUMNS = (
    *(
        "scope",
        "suite",
        "suite_version",
        "dataset",
        "dataset_version",
        "protocol",
        "split",
        "track",
        "shots",
        "task",
        "metric",
    ),
    *("first", "first_preset", "first_seeds", "first_mean", "first_low", "first_high"),
    *("second", "second_preset", "second_seeds", "second_mean", "second_low", "second_high"),
    *(
        "difference",
        "difference_low",
        "difference_high",
        "difference_seed_low",
        "difference_seed_high",
        "probability_of_improvement",
        "verdict",
        "missing",
    ),
)


def export_comparison(report: Comparison, form: str) -> str:
    """`report` as text in one of `COMPARISON_FORMATS`; raises `UnknownNameError` for another."""
    check_form(form)
    return COMPARISON_FORMATS[form](report)


def check_form(form: str, *others: str) -> None:
    """Raise `UnknownNameError` unless `form` is one of `COMPARISON_FORMATS` or of `others`."""
    if form not in (*COMPARISON_FORMATS, *others):
        raise UnknownNameError("format of a comparison", form, (*COMPARISON_FORMATS, *others))


def format_comparison_as_json(report: Comparison) -> str:
    """All that was computed."""
    return report.model_dump_json(indent=1) + "\n"


def format_comparison_as_csv(report: Comparison) -> str:
    """One line a comparison: of a suite, of a task, of the core set; `scope` says which."""
    file = io.StringIO()
    writer = csv.DictWriter(file, _CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for each in report.comparisons:
        setting = {name: getattr(each, name) for name in _CSV_COLUMNS if name in _SHARED}
        setting |= _make_side_cells("first", each.first) | _make_side_cells("second", each.second)
        values = _make_value_cells(each.first.headline, each.second.headline, each.difference)
        outcome = {
            "probability_of_improvement": each.probability_of_improvement,
            "verdict": each.verdict,
        }
        writer.writerow({**setting, "scope": "suite", "metric": each.metric, **values, **outcome})
        for task in each.tasks:
            values = _make_value_cells(task.first, task.second, task.difference)
            outcome = {"probability_of_improvement": task.probability_of_improvement}
            writer.writerow(
                {
                    **setting,
                    "scope": "task",
                    "task": task.task,
                    "metric": each.metric,
                    **values,
                    **outcome,
                }
            )
    for core in report.core:
        row = {
            **{
                "scope": "core set",
                "protocol": core.protocol,
                "track": core.track,
                "shots": core.shots,
                "first": report.first,
            },
            **{
                "first_preset": core.first_preset,
                "second": report.second,
                "second_preset": core.second_preset,
            },
            **_make_value_cells(core.first, core.second, core.difference),
            **{
                "probability_of_improvement": core.probability_of_improvement,
                "verdict": core.verdict,
            },
            **{"suite": " ".join(core.suites), "missing": " ".join(core.missing)},
        }
        writer.writerow(row)
    return file.getvalue()


def _make_all_sheets(report: Comparison) -> list[Sheet]:
    found = [*make_summary_sheets(report), *make_detail_sheets(report)]
    return [
        *found[:-1],
        dataclasses.replace(found[-1], notes=(*found[-1].notes, *explain_columns(report))),
    ]


COMPARISON_FORMATS: Mapping[str, Callable[[Comparison], str]] = {
    "csv": format_comparison_as_csv,
    "json": format_comparison_as_json,
    "latex": lambda report: format_sheets_as_latex(_make_all_sheets(report)),
    "markdown": lambda report: format_sheets_as_markdown(_make_all_sheets(report)),
}
"""Every format of text by its name."""

_SHARED = frozenset(
    (
        "suite",
        "suite_version",
        "dataset",
        "dataset_version",
        "protocol",
        "split",
        "track",
        "shots",
    )
)


def _make_side_cells(prefix: str, side: Side) -> dict[str, str | int]:
    return {prefix: side.label, f"{prefix}_preset": side.preset, f"{prefix}_seeds": len(side.seeds)}


def _make_value_cells(
    first: Estimate, second: Estimate, difference: Difference
) -> dict[str, float | None]:
    cells: dict[str, float | None] = {}
    for name, value in (("first_mean", first), ("second_mean", second), ("difference", difference)):
        stem = name.removesuffix("_mean")
        low, high = value.interval or (None, None)
        # The mean's column has a suffix, the difference's has none; their bounds are named alike.
        cells |= {name: value.mean, f"{stem}_low": low, f"{stem}_high": high}
    low, high = difference.seed_interval or (None, None)
    return {**cells, "difference_seed_low": low, "difference_seed_high": high}
