"""Comparisons as tables, CSV, JSON, LaTeX and Markdown."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable, Mapping

from metabench.errors import UnknownNameError
from metabench.leaderboard.compare.models import (
    Comparison,
    CoreComparison,
    Difference,
    Side,
    SuiteComparison,
)
from metabench.leaderboard.export.text_tables import (
    Sheet,
    format_interval,
    format_sheets_as_latex,
    format_sheets_as_markdown,
)
from metabench.leaderboard.scores.models import Estimate, Profile
from metabench.leaderboard.scores.overall import CORE_DATASET
from metabench.system.wording import say_count

SHOWN_THRESHOLDS = (0.0, 20.0, 40.0, 60.0, 80.0, 100.0)
"""Normalised scores at which tables for people give performance profiles."""

_CSV_COLUMNS = (
    *(
        "scope",
        "suite",
        "suite_version",
        "dataset",
        "dataset_version",
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
                    "metric": "normalised",
                    **values,
                    **outcome,
                }
            )
    for core in report.core:
        row = {
            **{
                "scope": "core set",
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


def make_summary_sheets(report: Comparison) -> list[Sheet]:
    """One table a pair of presets, dataset, split, track and number of shots: a row a suite, then the core set."""
    groups: dict[tuple[str | int, ...], list[SuiteComparison]] = {}
    for each in report.comparisons:
        key = (
            each.first.preset,
            each.second.preset,
            each.dataset,
            each.split,
            each.track,
            each.shots,
        )
        groups.setdefault(key, []).append(each)
    found = []
    for group in groups.values():
        rows = [_make_row(each.suite, each) for each in group]
        percentages = [each.suite for each in group if each.metric == "success"]
        notes = (
            [f"{', '.join(percentages)}: success at any step, in per cent"] if percentages else []
        )
        for core in report.core:
            if _is_over(core, group[0]):
                rows.append(_make_row(_name_core_set(core), core))
                if core.missing:
                    notes.append(
                        f"{_name_core_set(core)}: mean of {', '.join(core.suites)}; {_name_missing_suites(core)}"
                    )
        first, second = group[0].first, group[0].second
        headings = (
            "suite",
            _name_side(first, report.first),
            _name_side(second, report.second),
            "difference",
            "P",
            "seeds",
        )
        found.append(
            Sheet(
                _write_title(group[0]), (*headings, "verdict"), "lrrrrrl", tuple(rows), tuple(notes)
            )
        )
    return found


def make_detail_sheets(report: Comparison) -> list[Sheet]:
    """Task by task, and performance profiles: two tables a comparison, and profiles over the core set."""
    found = []
    for each in report.comparisons:
        title = f"{each.suite}, {_write_title(each)}"
        names = _name_side(each.first, report.first), _name_side(each.second, report.second)
        rows = tuple(
            (
                str(task.task),
                format_interval(task.first),
                format_interval(task.second),
                format_difference(task.difference),
                _format_share(task.probability_of_improvement),
            )
            for task in each.tasks
        )
        found.append(
            Sheet(
                f"{title}: task by task, normalised",
                ("task", *names, "difference", "P"),
                "rrrrr",
                rows,
            )
        )
        found.append(_make_profile_sheet(title, names, (each.first.profile, each.second.profile)))
    for core in report.core:
        presets = " and ".join(dict.fromkeys((core.first_preset, core.second_preset)))
        title = f"{_name_core_set(core)}, {CORE_DATASET}, preset {presets}: {core.track}"
        found.append(
            _make_profile_sheet(
                title, (report.first, report.second), (core.first_profile, core.second_profile)
            )
        )
    return found


def format_difference(difference: Difference) -> str:
    """`+7.2 [-1.0, +15.4]`; without an interval where either has one seed."""
    if difference.interval is None:
        return f"{difference.mean:+.1f}"
    low, high = difference.interval
    return f"{difference.mean:+.1f} [{low:+.1f}, {high:+.1f}]"


def explain_columns(report: Comparison) -> tuple[str, ...]:
    """What the columns mean, and what else a reader must know."""
    meaning = (
        "difference: first minus second, with its 95 % interval (Welch) over seeds",
        "P: probability of improvement, the share of seed pairs in which the first is higher",
    )
    return (*meaning, *report.notes)


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
    ("suite", "suite_version", "dataset", "dataset_version", "split", "track", "shots")
)


def _make_row(name: str, each: SuiteComparison | CoreComparison) -> tuple[str, ...]:
    if isinstance(each, SuiteComparison):
        first, second = each.first.headline, each.second.headline
        seeds = f"{len(each.first.seeds)}, {len(each.second.seeds)}"
    else:  # over the core set, whose suites may have different numbers of seeds
        first, second, seeds = each.first, each.second, "–"
    return (
        name,
        format_interval(first),
        format_interval(second),
        format_difference(each.difference),
        _format_share(each.probability_of_improvement),
        seeds,
        each.verdict or "–",
    )


def _make_profile_sheet(
    title: str, names: tuple[str, str], profiles: tuple[Profile, Profile]
) -> Sheet:
    headings = ("share of scores above", *(f"{threshold:.0f}" for threshold in SHOWN_THRESHOLDS))
    rows = []
    for name, profile in zip(names, profiles, strict=True):
        shares = dict(zip(profile.thresholds, profile.shares, strict=True))
        rows.append((name, *(_format_percent(shares[threshold]) for threshold in SHOWN_THRESHOLDS)))
    return Sheet(
        f"{title}: performance profile",
        headings,
        "l".ljust(1 + len(SHOWN_THRESHOLDS), "r"),
        tuple(rows),
    )


def _write_title(each: SuiteComparison) -> str:
    shots = f", {say_count(each.shots, 'shot')}" if each.shots else ""
    presets = dict.fromkeys((each.first.preset, each.second.preset))
    return f"{each.dataset}, preset {' and '.join(presets)}: {each.split} {each.track}{shots}"


def _is_over(core: CoreComparison, each: SuiteComparison) -> bool:
    """Whether `core` belongs below the table that `each` stands in."""
    mine = (
        each.protocol,
        each.first.preset,
        each.second.preset,
        each.dataset,
        each.split,
        each.track,
        each.shots,
    )
    presets = (core.protocol, core.first_preset, core.second_preset)
    return mine == (*presets, CORE_DATASET, "test", core.track, core.shots)


def _name_core_set(core: CoreComparison) -> str:
    total = len(core.suites) + len(core.missing)
    return f"core set {len(core.suites)}/{total}" if core.missing else "core set"


def _name_missing_suites(core: CoreComparison) -> str:
    return f"{', '.join(core.missing)} {'are' if len(core.missing) > 1 else 'is'} missing"


def _name_side(side: Side, asked: str) -> str:
    return asked + (" (privileged)" if side.privileged else "")


def _format_share(probability: float) -> str:
    return f"{probability:.2f}"


def _format_percent(share: float) -> str:
    return f"{100 * share:.0f} %"


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
    return cells
