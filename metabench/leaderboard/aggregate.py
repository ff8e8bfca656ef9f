"""From records to entries: scores, intervals, and what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from metabench.errors import DataError
from metabench.evaluation import statistics
from metabench.evaluation.protocol import PROTOCOL
from metabench.evaluation.scores import Score, score_block
from metabench.leaderboard.completeness import BlockKey, Quotas, SuiteShelf, key_of
from metabench.leaderboard.entries import Bootstrap, Contender, Entry, Estimate, Metric, Profile, SeedScores, TaskScores
from metabench.leaderboard.labels import method_label
from metabench.runs.record import Record, digest_of
from metabench.seeding import derived_seed

BOOTSTRAP_REPLICATIONS = 2_000
PROFILE_THRESHOLDS = tuple(float(threshold) for threshold in range(-20, 125, 5))
"""Normalised scores at which performance profiles are given."""

_DIGITS = 6
_BOOTSTRAPPED: Mapping[str, statistics.Statistic] = {
    "iqm": statistics.matrix_interquartile_mean,
    "mean": statistics.matrix_mean,
    "median": statistics.matrix_median,
    "optimality_gap": statistics.optimality_gap,
}


@dataclass
class _Gathered:
    """What is kept of a contender's records: scores instead of rows."""

    contender: Contender
    outdated: str | None
    newest: Record
    scores: dict[BlockKey, dict[int, Score]] = field(default_factory=dict)
    returns: dict[BlockKey, dict[int, float]] = field(default_factory=dict)
    problems: dict[BlockKey, dict[int, str]] = field(default_factory=dict)
    collections: dict[str, dict[int, tuple[float, ...]]] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)
    devices: set[str] = field(default_factory=set)
    parameters: int = 0


def contender_of(record: Record) -> Contender:
    """The row that `record` belongs to: its cell without the seed."""
    return Contender.model_validate(record.result.cell.model_dump(exclude={"seed"}))


def contender_id(contender: Contender) -> str:
    """16 hexadecimal digits that name `contender`; safe as a file name whatever the names are."""
    return digest_of(contender.model_dump(mode="json")).partition(":")[2][:16]


def aggregate(records: Iterable[Record], shelf: SuiteShelf | None = None) -> list[Entry]:
    """Compute the entries of `records`, one a contender, split, track and number of shots.

    Only complete blocks count: a seed whose block lacks episodes is named in `Entry.missing` instead. Every block of
    the protocol has an entry, even where no record has it. Records of another version of a suite than the one here
    keep their mean returns, unnormalised, and say so in `Entry.outdated`.

    Args:
        records: in any order; each is read once and let go.
        shelf: the suites to score with; by default those of the registry.

    Raises:
        DataError: two records are of one cell.
    """
    shelf = shelf or SuiteShelf()
    gathered: dict[str, _Gathered] = {}
    for record in records:
        contender = contender_of(record)
        quotas = shelf.quotas(contender.suite)
        group = gathered.setdefault(
            contender_id(contender), _Gathered(contender, _reason_outdated(contender, quotas), record)
        )
        _gather(group, record, quotas)
    ordered = sorted(gathered.items(), key=lambda item: (_order(item[1].contender), item[0]))
    return [entry for name, group in ordered for entry in _entries(name, group, shelf.quotas(group.contender.suite))]


def _order(contender: Contender) -> tuple[str, ...]:
    return (contender.suite, contender.dataset, contender.preset, contender.method)


def _reason_outdated(contender: Contender, quotas: Quotas | str) -> str | None:
    if isinstance(quotas, str):
        return quotas
    suite = quotas.suite
    if contender.suite_digest != suite.digest:
        return (
            f"made with {contender.suite}-v{contender.suite_version} {contender.suite_digest[7:15]}; "
            f"the suite here is {suite.identity} {suite.digest[7:15]}"
        )
    if contender.protocol != PROTOCOL:
        return f"made with protocol {contender.protocol}; the protocol here is {PROTOCOL}"
    return None


def _gather(group: _Gathered, record: Record, quotas: Quotas | str) -> None:
    result = record.result
    seed = result.cell.seed
    if seed in group.seconds:
        raise DataError(f"two records of one cell: {result.cell.path}, dataset digest {result.cell.dataset_digest:.15}")
    group.seconds[seed] = record.provenance.seconds_training
    group.devices.add(record.provenance.device)
    group.parameters = max(group.parameters, result.parameters)
    if (record.provenance.created, record.digest) > (group.newest.provenance.created, group.newest.digest):
        group.newest = record
    for block in result.blocks:
        key = key_of(block)
        if isinstance(quotas, str) or group.outdated is not None:
            if block.rows:
                group.returns.setdefault(key, {})[seed] = float(np.mean([row.total_return for row in block.rows]))
            continue
        try:
            findings = "; ".join(quotas.block_findings(block))
            if findings:
                raise DataError(findings)
            score = score_block(block, quotas.suite, result.cell.suite_digest)
            score.headline(quotas.suite.entry.headline)
        except DataError as error:
            group.problems.setdefault(key, {})[seed] = str(error)
        else:
            group.scores.setdefault(key, {})[seed] = score
            group.returns.setdefault(key, {})[seed] = score.mean_return
    for collection in result.collections:
        shots = max((row.episode for row in collection.rows), default=-1) + 1
        returns = [[row.total_return for row in collection.rows if row.episode == i] for i in range(shots)]
        if all(returns):
            group.collections.setdefault(collection.split, {})[seed] = tuple(float(np.mean(r)) for r in returns)


def _entries(name: str, group: _Gathered, quotas: Quotas | str) -> list[Entry]:
    expected = () if isinstance(quotas, str) or group.outdated is not None else quotas.blocks
    others = sorted((group.returns.keys() | group.problems.keys()) - set(expected))
    return [_entry(name, group, key, quotas) for key in (*expected, *others)]


def _entry(name: str, group: _Gathered, key: BlockKey, quotas: Quotas | str) -> Entry:
    suite = None if isinstance(quotas, str) else quotas.suite
    metric: Metric = "normalised" if suite is None else suite.entry.headline
    scores = group.scores.get(key, {})
    seeds = tuple(_seed_scores(seed, scores[seed], metric) for seed in sorted(scores))
    result = group.newest.result
    dataset = None if suite is None else suite.entry.datasets.get(group.contender.dataset)
    published = dataset.digest if dataset and dataset.version == group.contender.dataset_version else None
    matrix = np.array([scores[seed].task_scores for seed in sorted(scores)])
    return Entry(
        **group.contender.model_dump(),
        id=name,
        label=method_label(result.cell.method, result.overrides),
        overrides=result.overrides,
        privileged=result.privileged,
        split=key.split,
        track=key.track,
        shots=key.shots,
        metric=metric,
        headline=estimate([seed.headline for seed in seeds]),
        iqm=estimate([seed.iqm for seed in seeds]),
        mean=estimate([seed.mean for seed in seeds]),
        median=estimate([seed.median for seed in seeds]),
        mean_return=estimate([value for _, value in sorted(group.returns.get(key, {}).items())]),
        success_any=estimate([seed.success_any for seed in seeds]),
        success_last=estimate([seed.success_last for seed in seeds]),
        seeds=seeds,
        collection=_collection(group, key),
        tasks=_tasks(scores),
        bootstrap=_bootstrap(matrix, f"{name}/{key}") if seeds else None,
        profile=_profile(matrix) if seeds else None,
        missing=_missing(group, key),
        outdated=group.outdated,
        data_as_published=None if published is None else published == group.contender.dataset_digest,
        parameters=group.parameters,
        seconds_training=round(float(np.mean(list(group.seconds.values()))), 3),
        devices=tuple(sorted(group.devices)),
        created=group.newest.provenance.created,
    )


def estimate(values: Sequence[float | None]) -> Estimate | None:
    """Mean and interval of `(seeds,)` values; None if there are none or one of them is None."""
    told = [value for value in values if value is not None]
    if not told or len(told) < len(values):
        return None
    interval = statistics.t_interval(told)
    return Estimate(mean=rounded(float(np.mean(told))), interval=interval and rounded_interval(interval))


def rounded(value: float) -> float:
    """`value` to six decimals: what differs between machines in the last bits is equal here."""
    return round(value, _DIGITS) + 0.0


def rounded_interval(interval: statistics.Interval) -> tuple[float, float]:
    """`interval` to six decimals."""
    return rounded(interval.low), rounded(interval.high)


def _seed_scores(seed: int, score: Score, metric: Metric) -> SeedScores:
    return SeedScores(
        seed=seed,
        iqm=rounded(score.iqm),
        mean=rounded(score.mean),
        median=rounded(score.median),
        mean_return=rounded(score.mean_return),
        success_any=None if score.success_any is None else rounded(100.0 * score.success_any),
        success_last=None if score.success_last is None else rounded(100.0 * score.success_last),
        headline=rounded(score.headline(metric)),
    )


def _collection(group: _Gathered, key: BlockKey) -> tuple[Estimate, ...]:
    returns = list(group.collections.get(key.split, {}).values()) if key.track == "few-shot" else []
    shots = min((len(seed) for seed in returns), default=0)
    found = [estimate([seed[i] for seed in returns]) for i in range(min(shots, key.shots))]
    return tuple(value for value in found if value is not None)


def _tasks(scores: Mapping[int, Score]) -> tuple[TaskScores, ...]:
    if not scores:
        return ()
    columns = zip(*(score.task_scores for score in scores.values()), strict=True)
    tasks = next(iter(scores.values())).tasks
    found = [(task, estimate(column)) for task, column in zip(tasks, columns, strict=True)]
    return tuple(TaskScores(task=task, score=value) for task, value in found if value is not None)


def _bootstrap(matrix: statistics.Floats, purpose: str) -> Bootstrap:
    generator = np.random.default_rng(derived_seed("bootstrap", purpose))
    found = {}
    for name, statistic in _BOOTSTRAPPED.items():
        interval = None
        if len(matrix) > 1:
            bounds = statistics.stratified_bootstrap(matrix, statistic, generator, BOOTSTRAP_REPLICATIONS)
            interval = rounded_interval(bounds)
        found[name] = Estimate(mean=rounded(float(statistic(matrix))), interval=interval)
    return Bootstrap(**found, replications=BOOTSTRAP_REPLICATIONS)


def _profile(matrix: statistics.Floats) -> Profile:
    shares = statistics.performance_profile(matrix, PROFILE_THRESHOLDS)
    return Profile(thresholds=PROFILE_THRESHOLDS, shares=tuple(rounded(share) for share in shares.tolist()))


def _missing(group: _Gathered, key: BlockKey) -> tuple[str, ...]:
    if group.outdated is not None:
        return ()
    problems = group.problems.get(key, {})
    texts = [f"seed {seed}: {problems[seed]}" for seed in sorted(problems)]
    absent = sorted(group.seconds.keys() - problems.keys() - group.scores.get(key, {}).keys())
    if absent:
        texts.append(f"seed{'s'[: len(absent) != 1]} {', '.join(map(str, absent))}: not evaluated")
    return tuple(texts)
