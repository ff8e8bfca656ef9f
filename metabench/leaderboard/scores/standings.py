"""Boards: entries that may be compared, best first, each with its difference to the leader."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from metabench.evaluation.protocol import SPLITS
from metabench.evaluation.statistics import compare_samples
from metabench.leaderboard.scores.estimates import round_interval, round_score
from metabench.leaderboard.scores.models import Board, LeaderboardEntry, Standing

_BOARD_FIELDS = tuple(name for name in Board.model_fields if name != "standings")


def is_ranked(entry: LeaderboardEntry) -> bool:
    """Whether `entry` gets a rank: it has a headline, is of test tasks, and was not shown them."""
    return (
        entry.headline is not None
        and entry.split in SPLITS
        and not entry.privileged
        and entry.outdated is None
    )


def sort_by_rank(entries: Iterable[LeaderboardEntry]) -> list[LeaderboardEntry]:
    """Ranked entries, best headline first, then privileged ones, then those without a headline."""
    return sorted(entries, key=lambda entry: (*_order_entry(entry), entry.label, entry.id))


def make_boards(entries: Iterable[LeaderboardEntry]) -> list[Board]:
    """Group `entries` into boards; presets, data versions and suite versions are never mixed."""
    groups: dict[tuple[str | int, ...], list[LeaderboardEntry]] = {}
    for entry in entries:
        groups.setdefault(tuple(getattr(entry, name) for name in _BOARD_FIELDS), []).append(entry)
    found = []
    for key, group in groups.items():
        shared = dict(zip(_BOARD_FIELDS, key, strict=True))
        standings = tuple(_rank_entries(sort_by_rank(group)))
        found.append(Board.model_validate({**shared, "standings": standings}))
    return found


def distinguish_labels(entries: Sequence[LeaderboardEntry]) -> dict[str, str]:
    """Label of each entry by its `id`; where two of one board are called the same, their configuration's digest too."""
    counts = Counter(entry.label for entry in entries)
    return {
        entry.id: entry.label
        if counts[entry.label] == 1
        else f"{entry.label} #{entry.config_digest[7:15]}"
        for entry in entries
    }


def _order_entry(entry: LeaderboardEntry) -> tuple[int, float]:
    if entry.headline is None:
        return 3 if entry.outdated else 2, 0.0
    return int(
        entry.privileged
    ), -entry.headline.mean  # negative: the best is first in ascending order


def _rank_entries(ordered: Sequence[LeaderboardEntry]) -> Iterable[Standing]:
    leader = next((entry for entry in ordered if is_ranked(entry)), None)
    for place, entry in enumerate(ordered):
        if leader is None or not is_ranked(entry) or entry is leader:
            yield Standing(
                entry=entry.id,
                rank=1 if entry is leader else None,
                difference=None,
                interval=None,
                probability_of_improvement=None,
                verdict=None,
            )
            continue
        # The rounded headlines that leaderboard.json holds: its verdicts follow from its numbers.
        found = compare_samples(
            [seed.headline for seed in entry.seeds], [seed.headline for seed in leader.seeds]
        )
        yield Standing(
            entry=entry.id,
            rank=place + 1,
            difference=round_score(found.difference),
            interval=found.interval and round_interval(found.interval),
            probability_of_improvement=round_score(found.probability_of_improvement),
            verdict=found.verdict,
        )
