"""What the leaderboard says of methods together: boards, overall tables, and all of leaderboard.json with a version."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from metabench.leaderboard.scores.models import (
    Costs,
    Estimate,
    LeaderboardEntry,
    Metric,
    PublishedModel,
)

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


class ConditionError(PublishedModel):
    """An error of one kind of trajectory after one number of seen steps, mean over seeds."""

    behaviour: str
    prefix: int = Field(description="steps of the trajectory that were seen")
    error: float | None = Field(description="null where the control makes none")


class SeedError(PublishedModel):
    """The errors of one seed: one training."""

    seed: int
    error: float
    task_errors: tuple[float | None, ...] = Field(
        description="of each of the board's tasks; null where the control makes no error"
    )


class PredictionStanding(Placed):
    """A method's place by its error; verdicts are of minus its logarithm, clipped to 0.001 and 1000."""

    entry: str = Field(description="`id` of the contender, as entries have it")
    label: str = Field(description="method with its variant or overrides, for people")
    method: str
    method_version: int
    error: Estimate | None = Field(
        description="share of the control's error that is left, over tasks: 0 is perfect, 1 the control; null if no "
        "seed is complete"
    )
    seeds: tuple[SeedError, ...]
    conditions: tuple[ConditionError, ...]
    inside_50: float | None = Field(
        description="share of outcomes in the central 50 % of what was predicted, mean over seeds; null of methods "
        "that predict no deviations"
    )
    inside_90: float | None
    missing: tuple[str, ...] = Field(description="what is missing of some seed, a short text each")


class PredictionBoard(PublishedModel):
    """World models that may be compared: how well they predict logged trajectories of test tasks, nothing acting."""

    suite: str
    suite_version: int
    suite_digest: str
    dataset: str
    dataset_version: int
    dataset_digest: str
    protocol: str
    preset: str
    split: str
    shots: int = Field(description="logged episodes of the task that were given")
    steps: int = Field(description="steps ahead")
    predicted: Literal["observations", "rewards"]
    cells: bool = Field(
        description="observations are right or wrong: the error is the number of wrong ones, no root of squares"
    )
    control: Literal["persistence", "training-mean"] = Field(
        description="whose error is 1: that nothing changes, or that the mean reward of training tasks is earned"
    )
    tasks: tuple[int, ...]
    standings: tuple[PredictionStanding, ...] = Field(description="best first")


class OverallCell(PublishedModel):
    """A method's result in one suite of a group."""

    suite: str
    entry: str = Field(description="`id` of the entry")
    headline: Estimate
    seeds: int = Field(description="complete ones")


class OverallRow(Placed):
    """A method over the suites of a group."""

    label: str
    method: str
    method_version: int
    overrides: dict[str, Any]
    privileged: bool
    mean: Estimate | None = Field(
        description="mean over the group's suites; null while one is missing"
    )
    cells: tuple[OverallCell, ...]
    missing: tuple[str, ...] = Field(description="suites of the group without a complete seed")
    seeds: tuple[int, int] | None = Field(
        description="fewest and most complete seeds in a suite; null without any"
    )
    parameters: int | None = Field(description="the most over its suites")
    devices: tuple[str, ...]
    costs: Costs | None = Field(
        description="means over the suites that it has; `updates` and `training` are of one training in one suite"
    )


class Overall(PublishedModel):
    """The overall table of a group and track: the mean over its suites, each dataset `medium`, split `test`."""

    group: str = Field(description="`core set`, or another group of suites that belong together")
    protocol: str
    preset: str
    track: str
    shots: int
    archived: bool = Field(description="of an archived protocol")
    suites: tuple[str, ...] = Field(description="those of the group")
    rows: tuple[OverallRow, ...]


class ReferenceLevel(PublishedModel):
    """What a policy that is no rival reaches on a split."""

    score: float | None = Field(
        description="mean over tasks of the suite's score; null where that is success in plain per cent"
    )
    mean_return: float | None = Field(description="mean over tasks")


class ReferenceLevels(PublishedModel):
    """Whom scores are measured against: 0, what needs no knowledge of the task, and 100."""

    random: ReferenceLevel
    blind: ReferenceLevel | None = Field(
        description="the best policy that knows neither task nor past; null where a task has no such reference"
    )
    teacher: ReferenceLevel


class TaskReference(PublishedModel):
    """Mean returns in one task of whom scores are measured against."""

    random: float
    blind: float | None
    teacher: float


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
    references: dict[str, ReferenceLevels] = Field(
        description="of each scored split what random actions, the blind policy and the teacher reach there"
    )
    task_references: dict[int, TaskReference] = Field(
        description="of each scored task, by its id, what they return there"
    )
    parameters: dict[int, dict[str, Any]] = Field(
        description="what fixes each scored task, by the task's id"
    )
    datasets: dict[str, str] = Field(description="what each of its datasets is, in a few words")
    archived: bool = Field(
        default=False, description="an earlier version, whose records are kept and shown"
    )


class MethodDescription(PublishedModel):
    """What readers of a table should know of a method."""

    summary: str | None = Field(description="one line: what it does")
    paper: str | None = Field(description="address")
    code: str | None = Field(description="address; of what comes with metabench its class")
    authors: tuple[str, ...] = Field(description="of a submitted method; empty otherwise")
    pretrains: bool = Field(description="it uses something that was trained once for all suites")


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
    seconds_pretraining: float | None = None
    seconds_adapting: float
    seconds_acting: float
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
    updated: str | None = Field(description="when the newest record was made, UTC")
    revision: str | None = Field(description="of the code that made it")
    digest: str = Field(description="hash of the records' digests: what a citation names")
    methods: dict[str, MethodDescription] = Field(
        description="by name, without variant; those that neither come with metabench nor have a card are missing"
    )
    suites: tuple[SuiteSummary, ...]
    entries: tuple[LeaderboardEntry, ...]
    boards: tuple[Board, ...]
    overall: tuple[Overall, ...]
    predictions: tuple[PredictionBoard, ...] = Field(
        default=(), description="of the track `prediction`"
    )
    sources: tuple[Source, ...]
