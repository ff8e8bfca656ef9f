"""From records to entries: scores, intervals, and what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from metabench.evaluation.protocol import TRACKS
from metabench.evaluation.scores import Score
from metabench.leaderboard.scores.archived_protocols import is_archived
from metabench.leaderboard.scores.costs import average_costs
from metabench.leaderboard.scores.estimates import (
    bootstrap_statistics,
    compute_profile,
    estimate_adaptation,
    estimate_mean,
    round_score,
)
from metabench.leaderboard.scores.gather import (
    ContenderScores,
    find_contender_quotas,
    gather,
    is_data_as_published,
)
from metabench.leaderboard.scores.models import (
    Estimate,
    LeaderboardEntry,
    Metric,
    SeedScores,
    TaskScores,
)
from metabench.leaderboard.scores.quotas import BlockKey, Quotas, SuiteShelf
from metabench.runs.kept.record import Record
from metabench.suites import Suite
from metabench.system.wording import pluralise


def aggregate(records: Iterable[Record], shelf: SuiteShelf | None = None) -> list[LeaderboardEntry]:
    """Compute the entries of `records`, one a contender, split, track and number of shots.

    Only complete blocks count: a seed whose block lacks episodes is named in `LeaderboardEntry.missing` instead. Every
    block of the protocol has an entry, even where no record has it. Records of an archived version of a suite are
    scored by it. Records of one that is neither here nor archived keep their mean returns, unnormalised, and say so in
    `LeaderboardEntry.outdated`.

    Args:
        records: in any order; each is read once and let go.
        shelf: the suites to score with; by default those of the registry.

    Raises:
        DataError: two records are of one cell.
    """
    shelf = shelf or SuiteShelf()
    groups = gather(records, shelf)
    return [
        entry
        for group in groups
        for entry in _make_entries(group, find_contender_quotas(shelf, group.contender))
    ]


def _make_entries(group: ContenderScores, quotas: Quotas | str) -> list[LeaderboardEntry]:
    # Who only predicted lacks no episodes: its boards are others.
    acted = bool(group.returns or group.problems)
    nothing_expected = group.develops or group.outdated is not None or not acted
    expected = () if isinstance(quotas, str) or nothing_expected else quotas.blocks
    # What the protocol does not have is shown beneath: rows of outdated records, or blocks that are a mistake.
    others = sorted(
        (group.returns.keys() | group.problems.keys()) - set(expected), key=_order_block
    )
    return [_make_entry(group, key, quotas) for key in (*expected, *others)]


def _order_block(key: BlockKey) -> tuple[str, int, str, int]:
    """By split and track in the protocol's order; unknown tracks come last."""
    place = TRACKS.index(key.track) if key.track in TRACKS else len(TRACKS)
    return key.split, place, key.track, key.shots


def _make_entry(group: ContenderScores, key: BlockKey, quotas: Quotas | str) -> LeaderboardEntry:
    suite = None if isinstance(quotas, str) else quotas.suite
    metric: Metric = "normalised" if suite is None else suite.entry.headline
    scores = group.scores.get(key, {})
    seeds = tuple(_score_seed(seed, scores[seed]) for seed in sorted(scores))
    matrix = np.array([scores[seed].task_scores for seed in sorted(scores)])  # (seeds, tasks)
    tasks = _estimate_tasks(scores, suite)
    headroom = None
    if suite is not None and scores and key.split in suite.splits:  # validation is no split of it
        headroom = suite.headroom(key.split)
    return LeaderboardEntry(
        **group.contender.model_dump(),
        id=group.id,
        label=group.label,
        overrides=dict(group.overrides),
        privileged=group.privileged,
        uses_expert_labels=group.uses_expert_labels,
        split=key.split,
        track=key.track,
        shots=key.shots,
        metric=metric,
        headline=estimate_mean([seed.headline for seed in seeds]),
        worst_task=min(tasks, key=lambda task: task.score.mean, default=None),
        adaptation=estimate_adaptation([seed.headline for seed in seeds], headroom),
        clipped=sum(seed.clipped for seed in seeds),
        normalised_return=estimate_mean([seed.normalised_return for seed in seeds]),
        mean_return=estimate_mean(
            [value for _, value in sorted(group.returns.get(key, {}).items())]
        ),
        success_any=estimate_mean([seed.success_any for seed in seeds]),
        success_last=estimate_mean([seed.success_last for seed in seeds]),
        seeds=seeds,
        collection=_estimate_collection(group, key),
        tasks=tasks,
        bootstrap=bootstrap_statistics(matrix, f"{group.id}/{key}") if seeds else None,
        profile=compute_profile(matrix) if seeds else None,
        missing=_describe_missing(group, key),
        outdated=group.outdated,
        archived=suite is not None and suite.archived,
        protocol_archived=is_archived(group.contender.protocol),
        data_as_published=None if suite is None else is_data_as_published(group.contender, suite),
        parameters=group.parameters,
        costs=average_costs([cost for _, cost in sorted(group.costs.items())], key),
        devices=tuple(sorted(group.devices)),
        created=group.newest[0],
    )


def _score_seed(seed: int, score: Score) -> SeedScores:
    def percent(share: float | None) -> float | None:
        return None if share is None else round_score(100.0 * share)

    return SeedScores(
        seed=seed,
        headline=round_score(score.headline),
        task_scores=tuple(map(round_score, score.task_scores)),
        clipped=score.clipped,
        normalised_return=round_score(score.normalised_return),
        mean_return=round_score(score.mean_return),
        success_any=percent(score.success_any),
        success_last=percent(score.success_last),
    )


def _estimate_collection(group: ContenderScores, key: BlockKey) -> tuple[Estimate, ...]:
    returns = list(group.collections.get(key.split, {}).values()) if key.track == "few-shot" else []
    shots = min((len(seed) for seed in returns), default=0)
    found = [estimate_mean([seed[i] for seed in returns]) for i in range(min(shots, key.shots))]
    return tuple(value for value in found if value is not None)


def _estimate_tasks(scores: Mapping[int, Score], suite: Suite | None) -> tuple[TaskScores, ...]:
    if not scores or suite is None:
        return ()
    columns = zip(*(score.task_scores for score in scores.values()), strict=True)
    tasks = next(iter(scores.values())).tasks
    found = [(task, estimate_mean(column)) for task, column in zip(tasks, columns, strict=True)]
    return tuple(
        TaskScores(task=task, score=value, unit=suite.unit(task))
        for task, value in found
        if value is not None
    )


def _describe_missing(group: ContenderScores, key: BlockKey) -> tuple[str, ...]:
    if group.outdated is not None:
        return ()
    problems = group.problems.get(key, {})
    texts = [f"seed {seed}: {problems[seed]}" for seed in sorted(problems)]
    absent = sorted(group.costs.keys() - problems.keys() - group.scores.get(key, {}).keys())
    if absent:
        texts.append(
            f"{pluralise('seed', len(absent))} {', '.join(map(str, absent))}: not evaluated"
        )
    return tuple(texts)
