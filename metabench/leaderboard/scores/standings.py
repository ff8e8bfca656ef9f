"""Boards: entries that may be compared, best first, each with its difference to the first place and its ranks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from metabench.evaluation.protocol import SPLITS
from metabench.evaluation.statistics import probability_of_improvement, welch_interval
from metabench.evaluation.verdicts import Contrast, MethodSummary, contrast_methods
from metabench.leaderboard.scores.estimates import round_contrast, round_interval, round_score
from metabench.leaderboard.scores.models import LeaderboardEntry
from metabench.leaderboard.scores.placing import place_methods, summarise_entry
from metabench.leaderboard.scores.tables import Board, Standing

_BOARD_FIELDS = tuple(name for name in Board.model_fields if name not in ("standings", "archived"))


def has_place(entry: LeaderboardEntry) -> bool:
    """Whether `entry` gets a place: it has a headline, is of test tasks, and was not shown them."""
    return (
        entry.headline is not None
        and entry.split in SPLITS
        and not entry.privileged
        and entry.outdated is None
    )


def sort_by_headline(entries: Iterable[LeaderboardEntry]) -> list[LeaderboardEntry]:
    """Entries with a place, best headline first, then privileged ones, then those without a headline."""
    return sorted(entries, key=lambda entry: (*_order_entry(entry), entry.label, entry.id))


def make_boards(entries: Iterable[LeaderboardEntry]) -> list[Board]:
    """Group `entries` into boards; protocols, presets, data and suite versions are never mixed."""
    groups: dict[tuple[str | int, ...], list[LeaderboardEntry]] = {}
    for entry in entries:
        groups.setdefault(tuple(getattr(entry, name) for name in _BOARD_FIELDS), []).append(entry)
    found = []
    for key, group in groups.items():
        shared = dict(zip(_BOARD_FIELDS, key, strict=True))
        archived = any(entry.archived or entry.protocol_archived for entry in group)
        standings = tuple(_make_standings(sort_by_headline(group)))
        found.append(Board.model_validate({**shared, "archived": archived, "standings": standings}))
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


def _make_standings(ordered: Sequence[LeaderboardEntry]) -> Iterable[Standing]:
    placed = [entry for entry in ordered if has_place(entry)]
    # The rounded scores that leaderboard.json holds: its verdicts follow from its numbers.
    found = place_methods([summarise_entry(entry) for entry in placed], _contrast)
    leading = [seed.headline for seed in placed[0].seeds] if placed else []
    places = {entry.id: place for place, entry in enumerate(placed)}
    for entry in ordered:
        if entry.id not in places:
            yield Standing(
                entry=entry.id,
                place=None,
                rank=None,
                first=False,
                difference=None,
                interval=None,
                seed_interval=None,
                verdict=None,
                probability_of_improvement=None,
            )
            continue
        place = places[entry.id]
        headlines = [seed.headline for seed in entry.seeds]
        difference = improvement = welch = None
        if place > 0:
            difference = round_score(sum(headlines) / len(headlines) - sum(leading) / len(leading))
            improvement = round_score(probability_of_improvement(headlines, leading))
            welch = welch_interval(headlines, leading)
        contrast = found[place].to_leader
        yield Standing(
            entry=entry.id,
            place=place + 1,
            rank=found[place].rank,
            first=found[place].first,
            difference=difference,
            interval=round_contrast(contrast),
            seed_interval=welch and round_interval(welch),
            verdict=None if contrast is None else contrast.verdict,
            probability_of_improvement=improvement,
        )


def _contrast(first: MethodSummary | None, second: MethodSummary | None) -> Contrast | None:
    return None if first is None or second is None else contrast_methods(first, second)
