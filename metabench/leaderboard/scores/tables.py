"""What the leaderboard says of methods together: boards, overall tables, and all of leaderboard.json with a version."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from metabench.leaderboard.scores.models import Estimate, LeaderboardEntry, Metric, PublishedModel

VerdictWord = Literal["better", "worse", "undecided"]


class Placed(PublishedModel):
    """A place in a table, and what seeds and tasks allow to say of it."""

    place: int | None = Field(
        description="by mean score, which is no rank; null for privileged, outdated and incomplete ones"
    )
    rank: tuple[int, int] | None = Field(
        description="best and worst rank that the verdicts of all pairs leave; null with fewer seeds or tasks than a "
        "verdict needs"
    )
    first: bool = Field(
        description="better than each other one, with Holm's correction over these comparisons"
    )
    difference: float | None = Field(
        description="mean minus that of the first place; null for it and where there is no place"
    )
    interval: tuple[float, float] | None = Field(
        description="95 % interval of the difference, over seeds and tasks"
    )
    seed_interval: tuple[float, float] | None = Field(
        description="95 % Welch interval of the difference over seeds alone: on these tasks"
    )
    verdict: VerdictWord | None = Field(
        description="against the first place; null with fewer than 3 seeds of either or fewer than 10 tasks"
    )


class Standing(Placed):
    """An entry's place among the entries that it may be compared with."""

    entry: str = Field(description="`id` of the entry")
    probability_of_improvement: float | None = Field(
        description="over the first place, by headlines of seeds"
    )


class Board(PublishedModel):
    """Entries that may be compared: all but the method is equal."""

    suite: str
    suite_version: int
    suite_digest: str
    dataset: str
    dataset_version: int
    dataset_digest: str
    protocol: str
    preset: str
    split: str
    track: str
    shots: int
    archived: bool = Field(description="of an archived protocol or version of the suite")
    standings: tuple[Standing, ...] = Field(description="best first; those without a place last")


class OverallCell(PublishedModel):
    """A method's result in one suite of the core set."""

    suite: str
    entry: str = Field(description="`id` of the entry")
    headline: Estimate


class OverallRow(Placed):
    """A method over the core set."""

    label: str
    method: str
    method_version: int
    overrides: dict[str, Any]
    privileged: bool
    mean: Estimate | None = Field(
        description="mean over the core set; null while a suite is missing"
    )
    cells: tuple[OverallCell, ...]
    missing: tuple[str, ...] = Field(description="suites of the core set without a complete seed")


class Overall(PublishedModel):
    """The overall table of one track: the mean over the core set, each dataset `medium`, split `test`."""

    protocol: str
    preset: str
    track: str
    shots: int
    archived: bool = Field(description="of an archived protocol")
    suites: tuple[str, ...] = Field(description="the core set")
    rows: tuple[OverallRow, ...]


class SuiteSummary(PublishedModel):
    """A suite as the scores were computed with it."""

    name: str
    version: int
    digest: str
    title: str
    distribution: str
    horizon: int
    metric: Metric
    seen_tasks: bool
    episodes: int = Field(description="scored episodes a test task")
    supports: int = Field(description="independent supports a test task")
    tasks: dict[str, int] = Field(description="number of tasks of each split")
    headroom: dict[str, float] = Field(
        description="of each scored split that has blind references, what knowing the task is worth: 100 - blind"
    )
    parameters: dict[int, dict[str, Any]] = Field(
        description="what fixes each scored task, by the task's id"
    )
    archived: bool = Field(
        default=False, description="an earlier version, whose records are kept and shown"
    )


class Source(PublishedModel):
    """A record that the leaderboard was computed from."""

    contender: str = Field(description="`id` of its entries")
    seed: int
    path: str = Field(description="below the folder of records")
    digest: str
    created: str
    device: str
    host: str
    threads: int
    seconds_training: float
    seconds_evaluating: float
    git_revision: str | None
    git_dirty: bool | None
    packages: dict[str, str]
    command: str
    warnings: tuple[str, ...]


class Leaderboard(PublishedModel):
    """All of leaderboard.json."""

    schema_version: Literal[2] = 2
    protocol: str = Field(description="the present one; boards of others are archived")
    confidence: float = Field(description="of all intervals")
    seeds_for_a_verdict: int
    tasks_for_a_verdict: int
    suites: tuple[SuiteSummary, ...]
    entries: tuple[LeaderboardEntry, ...]
    boards: tuple[Board, ...]
    overall: tuple[Overall, ...]
    sources: tuple[Source, ...]
