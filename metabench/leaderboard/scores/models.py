"""What the leaderboard says: entries, standings, the overall table, as strict models with a version."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from metabench.runs.kept.record import make_code_field
from metabench.system.strict_model import StrictModel

Metric = Literal["normalised", "success"]


class PublishedModel(StrictModel):
    """What leaderboard.json holds: its schema lists fields with defaults as required, since they are always written."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class Estimate(PublishedModel):
    """A mean over seeds."""

    mean: float
    interval: tuple[float, float] | None = Field(
        description="95 % Student's t interval over seeds; null with one seed"
    )


class SeedScores(PublishedModel):
    """The scores of one seed: one training."""

    seed: int
    iqm: float = Field(description="interquartile mean of normalised scores over task x episode")
    mean: float = Field(description="mean of the same scores")
    median: float = Field(description="median of the same scores")
    mean_return: float = Field(description="mean undiscounted return over task x episode")
    success_any: float | None = Field(description="percentage of episodes with success at any step")
    success_last: float | None = Field(
        description="percentage of episodes with success at the last step"
    )
    headline: float = Field(description="the number that the suite is ranked by")


class TaskScores(PublishedModel):
    """One task, over seeds."""

    task: int
    score: Estimate = Field(description="normalised score, mean over episodes")


class Bootstrap(PublishedModel):
    """rliable's statistics of the run x task matrix of normalised scores, with its stratified bootstrap intervals."""

    iqm: Estimate
    mean: Estimate
    median: Estimate
    optimality_gap: Estimate = Field(description="against a target of 100")
    replications: int


class Profile(PublishedModel):
    """rliable's performance profile: the share of run x task scores above each threshold."""

    thresholds: tuple[float, ...]
    shares: tuple[float, ...]


class Contender(PublishedModel):
    """One row identity: a method as configured, trained on one dataset, over its seeds."""

    suite: str
    suite_version: int
    suite_digest: str
    dataset: str
    dataset_version: int
    dataset_digest: str
    method: str
    method_version: int
    preset: str
    config_digest: str
    protocol: str
    method_code: str | None = make_code_field("method")
    suite_code: str | None = make_code_field("suite's task family")


class LeaderboardEntry(Contender):
    """A contender in one split, track and number of shots."""

    id: str = Field(description="hash of the contender's identity; names its file of rows")
    label: str = Field(description="method with its variant or overrides, for people")
    overrides: dict[str, Any] = Field(description="where the configuration differs from the preset")
    privileged: bool = Field(description="it is shown the test tasks: an upper bound, never ranked")
    split: str
    track: str
    shots: int
    metric: Metric = Field(
        description="what the suite is ranked by: normalised IQM, or success at any step"
    )
    headline: Estimate | None = Field(
        description="null if no seed is complete or the suite's version is outdated"
    )
    iqm: Estimate | None
    mean: Estimate | None
    median: Estimate | None
    mean_return: Estimate | None
    success_any: Estimate | None
    success_last: Estimate | None
    seeds: tuple[SeedScores, ...] = Field(
        description="the complete seeds, which the estimates are over"
    )
    collection: tuple[Estimate, ...] = Field(
        description="few-shot only: mean return of the first, second, ... unscored support episode"
    )
    tasks: tuple[TaskScores, ...]
    bootstrap: Bootstrap | None
    profile: Profile | None
    missing: tuple[str, ...] = Field(
        description="what of the protocol this entry lacks, a short text each"
    )
    outdated: str | None = Field(
        description="why it cannot be normalised with the suite as it is now"
    )
    archived: bool = Field(
        default=False,
        description="scored by an archived version of its suite; not in the overall tables",
    )
    data_as_published: bool | None = Field(
        description="false: other data than suite.toml states; null: it states none"
    )
    parameters: int = Field(description="trained parameters that acting uses; the most over seeds")
    seconds_training: float = Field(description="mean over seeds")
    devices: tuple[str, ...]
    created: str = Field(description="when its newest record was made, UTC")


class Standing(PublishedModel):
    """An entry's place among the entries that it may be compared with."""

    entry: str = Field(description="`id` of the entry")
    rank: int | None = Field(description="null for privileged, outdated and empty entries")
    difference: float | None = Field(
        description="headline mean minus the leader's; null for the leader and unranked"
    )
    interval: tuple[float, float] | None = Field(
        description="95 % Welch interval of the difference"
    )
    probability_of_improvement: float | None = Field(
        description="over the leader, by per-seed scores"
    )
    verdict: Literal["better", "worse", "undecided"] | None = Field(
        description="against the leader; null with fewer than 5 seeds in either"
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
    standings: tuple[Standing, ...] = Field(description="best first; unranked entries last")


class OverallCell(PublishedModel):
    """A method's result in one suite of the core set."""

    suite: str
    entry: str = Field(description="`id` of the entry")
    headline: Estimate


class OverallRow(PublishedModel):
    """A method over the core set."""

    label: str
    method: str
    method_version: int
    overrides: dict[str, Any]
    privileged: bool
    rank: int | None = Field(description="null for privileged and incomplete rows")
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

    schema_version: Literal[1] = 1
    confidence: float = Field(description="of all intervals")
    seeds_for_a_verdict: int
    suites: tuple[SuiteSummary, ...]
    entries: tuple[LeaderboardEntry, ...]
    boards: tuple[Board, ...]
    overall: tuple[Overall, ...]
    sources: tuple[Source, ...]
