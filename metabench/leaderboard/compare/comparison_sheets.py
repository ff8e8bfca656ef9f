"""Comparisons as tables for people: a summary, task by task, and performance profiles."""

from __future__ import annotations

from collections.abc import Mapping

from metabench.leaderboard.compare.models import (
    Comparison,
    CoreComparison,
    Side,
    SuiteComparison,
)
from metabench.leaderboard.export.text_tables import (
    Sheet,
    format_interval,
)
from metabench.leaderboard.scores.archived_protocols import is_archived, name_protocol
from metabench.leaderboard.scores.models import Profile
from metabench.leaderboard.scores.overall import CORE_DATASET
from metabench.system.wording import say_count

SHOWN_THRESHOLDS = (0.0, 20.0, 40.0, 60.0, 80.0, 100.0)
"""Normalised scores at which tables for people give performance profiles."""

SUCCESS: Mapping[str | None, str] = {
    "last": "success at the last step, 0 as of random actions and 100 as of the expert",
    "any": "success at any step, 0 as of random actions and 100 as of the expert",
    None: "success at any step, in per cent",
}
"""What a score by success is, by the suite's rule; archived versions had none."""


def make_summary_sheets(report: Comparison) -> list[Sheet]:
    """One table a pair of presets, dataset, split, track and number of shots: a row a suite, then the core set."""
    groups: dict[tuple[str | int, ...], list[SuiteComparison]] = {}
    for each in report.comparisons:
        key = (
            each.protocol,
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
        notes = []
        for rule, words in SUCCESS.items():
            by_success = [each for each in group if each.metric == "success"]
            suites = [each.suite for each in by_success if each.success_rule == rule]
            if suites:
                notes.append(f"{', '.join(suites)}: {words}")
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
            "on these tasks",
            "P",
            "seeds",
        )
        found.append(
            Sheet(
                _write_title(group[0]),
                (*headings, "verdict"),
                "lrrrrrrl",
                tuple(rows),
                tuple(notes),
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
                format_difference(task.difference.mean, task.difference.seed_interval),
                _format_share(task.probability_of_improvement),
            )
            for task in each.tasks
        )
        found.append(
            Sheet(
                f"{title}: task by task",
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


def format_difference(mean: float, interval: tuple[float, float] | None) -> str:
    """`+7.2 [-1.0, +15.4]`; the mean alone where there is no interval."""
    if interval is None:
        return f"{mean:+.1f}"
    low, high = interval
    return f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"


def format_bounds(interval: tuple[float, float] | None) -> str:
    """`[-1.0, +15.4]`."""
    return "–" if interval is None else f"[{interval[0]:+.1f}, {interval[1]:+.1f}]"


def explain_columns(report: Comparison) -> tuple[str, ...]:
    """What the columns mean, and what else a reader must know."""
    meaning = (
        "difference: first minus second, with its 95 % interval over seeds and tasks, which the verdict is of",
        "on these tasks: 95 % interval over seeds alone (Welch)",
        "P: probability of improvement, the share of seed pairs in which the first is higher",
    )
    return (*meaning, *report.notes)


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
        format_difference(each.difference.mean, each.difference.interval),
        format_bounds(each.difference.seed_interval),
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
    earlier = f", {name_protocol(each.protocol)}" if is_archived(each.protocol) else ""
    return (
        f"{each.dataset}, preset {' and '.join(presets)}{earlier}: {each.split} {each.track}{shots}"
    )


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
