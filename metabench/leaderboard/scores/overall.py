"""The overall tables of a track: means over the core set and over other groups of suites, with what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from metabench.evaluation.protocol import TRACKS
from metabench.evaluation.statistics import weighted_sum_interval
from metabench.evaluation.verdicts import (
    Contrast,
    MethodSummary,
    average_contrasts,
    contrast_methods,
)
from metabench.leaderboard.scores.archived_protocols import is_archived
from metabench.leaderboard.scores.costs import average_over_suites
from metabench.leaderboard.scores.estimates import round_contrast, round_interval, round_score
from metabench.leaderboard.scores.models import Estimate, LeaderboardEntry
from metabench.leaderboard.scores.placing import Placing, place_methods, summarise_entry
from metabench.leaderboard.scores.tables import Overall, OverallCell, OverallRow

CORE_SUITES = ("point-robot", "cheetah-vel", "ant-dir", "hopper-param", "pendulum-param", "reach")
"""Each with headroom of at least 30: cartpole-param is none, its blind policy scores 85."""

CORE_SUITES_THEN = {
    "1": ("point-robot", "cheetah-vel", "hopper-param", "cartpole-param", "reach"),
}
"""The core set of archived protocols."""

CORE_DATASET = "medium"
CORE = "core set"
OTHER_GROUPS: Mapping[str, tuple[str, ...]] = {
    "MuJoCo": ("cheetah-vel", "ant-dir", "hopper-param"),
    "classic control": ("cartpole-param", "pendulum-param"),
    "Meta-World": ("reach", "push", "pick-place"),
}
"""Suites that belong together, without those whose observation shows the task.

Their number is fixed, so that a mean is over the same suites in every table.
"""

HEADLINE_SHOTS = {"zero-shot": 0, "few-shot": 3, "logged-shot": 3}


def list_core_suites(protocol: str) -> tuple[str, ...]:
    """The suites in which every method must appear, as of that protocol."""
    return CORE_SUITES_THEN.get(protocol, CORE_SUITES)


def make_overall_tables(
    entries: Iterable[LeaderboardEntry], seen_tasks: Iterable[str] = ()
) -> list[Overall]:
    """One table a group of suites, protocol, preset and track; the core set's come first.

    Args:
        entries: all entries; other data than published, outdated ones and other splits stay out, and of the present
            protocol those of archived versions of suites.
        seen_tasks: suites whose test tasks are also training tasks; they stay out as well.
    """
    seen = set(seen_tasks)
    protocols: dict[str, list[LeaderboardEntry]] = {}
    for entry in entries:
        protocols.setdefault(entry.protocol, []).append(entry)
    groups: dict[str, tuple[str, ...] | None] = {CORE: None, **OTHER_GROUPS}
    return [
        table
        for group, suites in groups.items()
        for protocol, members in sorted(protocols.items())
        for table in _make_group_tables(
            group,
            tuple(each for each in suites or list_core_suites(protocol) if each not in seen),
            members,
        )
    ]


def _make_group_tables(
    group: str, suites: tuple[str, ...], entries: Iterable[LeaderboardEntry]
) -> list[Overall]:
    groups: dict[tuple[str, str, str], list[LeaderboardEntry]] = {}
    for entry in entries:
        if (
            entry.suite in suites
            and entry.dataset == CORE_DATASET
            and entry.split == "test"
            and entry.shots == HEADLINE_SHOTS.get(entry.track)
            and entry.outdated is None
            and (entry.protocol_archived or not entry.archived)
            and entry.data_as_published is not False
        ):
            groups.setdefault((entry.protocol, entry.preset, entry.track), []).append(entry)
    ordered = sorted(groups, key=lambda key: (key[0], key[1], TRACKS.index(key[2])))
    return [
        Overall(
            group=group,
            protocol=protocol,
            preset=preset,
            track=track,
            shots=HEADLINE_SHOTS[track],
            archived=is_archived(protocol),
            suites=suites,
            rows=tuple(_make_rows(groups[protocol, preset, track], suites)),
        )
        for protocol, preset, track in ordered
    ]


@dataclass(frozen=True)
class _Candidate:
    """A method, with the entry that stands for it in each suite; without one where it has none."""

    row: OverallRow
    chosen: tuple[LeaderboardEntry | None, ...]

    @property
    def samples(self) -> list[list[float]]:
        """Of each suite the headlines of the seeds."""
        return [[seed.headline for seed in entry.seeds] for entry in self.chosen if entry]


def _make_rows(entries: Sequence[LeaderboardEntry], suites: Sequence[str]) -> list[OverallRow]:
    methods: dict[tuple[str, int], list[LeaderboardEntry]] = {}
    for entry in entries:
        methods.setdefault((entry.label, entry.method_version), []).append(entry)
    ordered = sorted(
        (_make_candidate(group, suites) for group in methods.values()),
        key=lambda each: _order_row(each.row),
    )
    # Complete rows come first in that order, privileged ones last.
    placed = [each for each in ordered if each.row.mean is not None and not each.row.privileged]
    found = place_methods(
        [[summarise_entry(entry) for entry in each.chosen if entry] for each in placed],
        _contrast_over_suites,
    )
    rows = [
        _place_row(each, place, placing, placed[0])
        for place, (each, placing) in enumerate(zip(placed, found, strict=True))
    ]
    return [*rows, *(each.row for each in ordered[len(placed) :])]


def _place_row(
    candidate: _Candidate, place: int, placing: Placing, leader: _Candidate
) -> OverallRow:
    mean, best = candidate.row.mean, leader.row.mean
    assert mean is not None
    assert best is not None
    welch = None
    if place > 0:
        share = 1.0 / len(leader.samples)
        weights = [share] * len(candidate.samples) + [-share] * len(leader.samples)
        welch = weighted_sum_interval([*candidate.samples, *leader.samples], weights)
    contrast = placing.to_leader
    return candidate.row.model_copy(
        update={
            "place": place + 1,
            "rank": placing.rank,
            "first": placing.first,
            "difference": round_score(mean.mean - best.mean) if place > 0 else None,
            "interval": round_contrast(contrast),
            "seed_interval": welch and round_interval(welch),
            "verdict": None if contrast is None else contrast.verdict,
        }
    )


def _contrast_over_suites(
    first: Sequence[MethodSummary | None], second: Sequence[MethodSummary | None]
) -> Contrast | None:
    """The mean over suites of two methods' differences; None where one of them has none."""
    found = []
    for one, two in zip(first, second, strict=True):
        if one is None or two is None:
            return None
        found.append(contrast_methods(one, two))
    return average_contrasts(found)


def _make_candidate(entries: Sequence[LeaderboardEntry], suites: Sequence[str]) -> _Candidate:
    chosen = [_choose_entry(entries, suite) for suite in suites]
    complete = [entry for entry in chosen if entry is not None]
    counts = [len(entry.seeds) for entry in complete]
    mean = None
    if len(complete) == len(suites):  # a mean over other suites would be no mean of this table
        samples = [[seed.headline for seed in entry.seeds] for entry in complete]
        interval = weighted_sum_interval(samples, [1.0 / len(suites)] * len(suites))
        centre = sum(sum(sample) / len(sample) for sample in samples) / len(suites)
        mean = Estimate(mean=round_score(centre), interval=interval and round_interval(interval))
    row = OverallRow(
        label=entries[0].label,
        method=entries[0].method,
        method_version=entries[0].method_version,
        overrides=entries[0].overrides,
        privileged=any(entry.privileged for entry in entries),
        place=None,
        rank=None,
        first=False,
        difference=None,
        interval=None,
        seed_interval=None,
        verdict=None,
        mean=mean,
        cells=tuple(
            OverallCell(
                suite=entry.suite,
                entry=entry.id,
                headline=entry.headline,
                seeds=len(entry.seeds),
            )
            for entry in complete
            if entry.headline is not None
        ),
        missing=tuple(suite for suite, entry in zip(suites, chosen, strict=True) if entry is None),
        seeds=(min(counts), max(counts)) if counts else None,
        parameters=max((entry.parameters for entry in complete), default=None),
        devices=tuple(sorted({device for entry in complete for device in entry.devices})),
        costs=average_over_suites([entry.costs for entry in complete]) if complete else None,
    )
    return _Candidate(row, tuple(chosen))


def _choose_entry(entries: Sequence[LeaderboardEntry], suite: str) -> LeaderboardEntry | None:
    """The entry that stands for `suite`: of several configurations the one with most seeds, then the newest."""
    candidates = [entry for entry in entries if entry.suite == suite and entry.headline is not None]
    return max(
        candidates, key=lambda entry: (len(entry.seeds), entry.created, entry.id), default=None
    )


def _order_row(row: OverallRow) -> tuple[int, float, int, str]:
    return (  # complete rows, then incomplete ones, then privileged ones, these complete ones first as well
        int(row.mean is None) + 2 * int(row.privileged),
        0.0 if row.mean is None else -row.mean.mean,
        len(row.missing),
        row.label,
    )
