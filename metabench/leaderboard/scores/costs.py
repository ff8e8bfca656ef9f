"""What records say of costs, and their means over seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from metabench.evaluation.rows import StageCost
from metabench.leaderboard.scores.models import Costs
from metabench.leaderboard.scores.quotas import BlockKey
from metabench.runs.kept.record import Record

_MOST_UPDATES = 2**53
"""No training has more; a curve may hold any number."""

_DIGITS = 6


@dataclass(frozen=True)
class SeedCosts:
    """What one record says.

    Attributes:
        training: seconds.
        updates: of all stages of training, by its curve; None where that counts none.
        pretraining: seconds; None where there was none, or nobody measured it.
        evaluating: seconds, of all tracks.
        stages: what each rollout cost; records of protocol 1 have none.
    """

    training: float
    updates: int | None
    pretraining: float | None
    evaluating: float
    stages: tuple[StageCost, ...]


def read_costs(record: Record) -> SeedCosts:
    """The costs that stand in a record."""
    provenance = record.provenance
    return SeedCosts(
        training=provenance.seconds_training,
        updates=_count_updates(record.result.curve),
        pretraining=provenance.seconds_pretraining,
        evaluating=provenance.seconds_evaluating,
        stages=provenance.stages,
    )


def average_costs(seeds: Sequence[SeedCosts], key: BlockKey) -> Costs:
    """Means over `seeds`, `(seeds,)`; those of an episode are of the rollouts of `key`."""
    adapting, acting, collecting = (
        zip(*(_price_episode(seed.stages, key) for seed in seeds), strict=True)
        if seeds
        else ((), (), ())
    )
    return Costs(
        training=_average([seed.training for seed in seeds]),
        updates=_average([seed.updates for seed in seeds]),
        pretraining=_average([seed.pretraining for seed in seeds]),
        adapting=_average(adapting),
        acting=_average(acting),
        collecting=_average(collecting),
        evaluating=_average([seed.evaluating for seed in seeds]),
    )


def average_over_suites(costs: Sequence[Costs]) -> Costs:
    """Means of each cost over suites, None where one of them does not tell."""
    return Costs(
        **{name: _average([getattr(each, name) for each in costs]) for name in Costs.model_fields}
    )


def _price_episode(
    stages: Iterable[StageCost], key: BlockKey
) -> tuple[float | None, float | None, float | None]:
    """Seconds of adapting, acting and collecting support for one scored episode of `key`."""
    mine = [each for each in stages if (each.split, each.track) == (key.split, key.track)]
    scored = [each for each in mine if each.scored and each.shots == key.shots]
    episodes = sum(each.episodes for each in scored)
    if not episodes:
        return None, None, None
    collecting = None
    if key.track == "few-shot":
        support = [each for each in mine if not each.scored and each.shots < key.shots]
        collecting = sum(each.seconds_acting + each.seconds_adapting for each in support) / episodes
    return (
        sum(each.seconds_adapting for each in scored) / episodes,
        sum(each.seconds_acting for each in scored) / episodes,
        collecting,
    )


def _count_updates(curve: Iterable[Mapping[str, float | int | str]]) -> int | None:
    """The last update of each stage of training, summed."""
    last: dict[str, int] = {}
    for row in curve:
        update = row.get("update")
        if isinstance(update, int) and update < _MOST_UPDATES:
            stage = str(row.get("stage", ""))
            last[stage] = max(update, last.get(stage, 0))
    return sum(last.values()) if last else None


def _average(values: Sequence[float | None]) -> float | None:
    told = [value for value in values if value is not None]
    if not told or len(told) < len(values):
        return None
    return round(sum(told) / len(told), _DIGITS)
