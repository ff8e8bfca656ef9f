"""What the leaderboard says of one method: entries and their estimates, as strict models."""

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
        description="95 % Student's t interval over seeds, on these tasks; null with one seed"
    )


class SeedScores(PublishedModel):
    """The scores of one seed: one training."""

    seed: int
    headline: float = Field(
        description="the number that the suite is ranked by: the mean over tasks of the suite's score"
    )
    task_scores: tuple[float, ...] = Field(
        description="of each of the entry's tasks the mean over episodes of the suite's score, clipped to [-100, 200]"
    )
    clipped: int = Field(description="how many of them were clipped")
    normalised_return: float = Field(
        description="mean over tasks of the normalised return, clipped likewise"
    )
    mean_return: float = Field(description="mean undiscounted return over task x episode")
    success_any: float | None = Field(description="percentage of episodes with success at any step")
    success_last: float | None = Field(
        description="percentage of episodes with success at the last step"
    )


class TaskScores(PublishedModel):
    """One task, over seeds."""

    task: int
    score: Estimate = Field(description="the suite's score, mean over episodes")
    unit: str | None = Field(
        description="the environment whose tasks are one unit of verdicts together; null where each task is one"
    )


class Bootstrap(PublishedModel):
    """rliable's statistics of the run x task matrix of scores, with its stratified bootstrap intervals."""

    iqm: Estimate
    mean: Estimate
    median: Estimate
    optimality_gap: Estimate = Field(description="against a target of 100")
    replications: int


class Profile(PublishedModel):
    """rliable's performance profile: the share of run x task scores above each threshold."""

    thresholds: tuple[float, ...]
    shares: tuple[float, ...]
    low: tuple[float, ...] | None = Field(
        description="lower ends of the 95 % intervals of its stratified bootstrap; null with one seed"
    )
    high: tuple[float, ...] | None = Field(description="upper ends")


class Costs(PublishedModel):
    """What a row costs, in seconds; means over its seeds, and null where not all of their records tell."""

    training: float | None = Field(description="of one training on one dataset")
    updates: float | None = Field(description="gradient steps of one training, by its curve")
    pretraining: float | None = Field(
        description="of what was trained once for all suites; null also where nothing was"
    )
    adapting: float | None = Field(description="a scored episode, to learn from its support")
    acting: float | None = Field(description="a scored episode, to choose its actions")
    collecting: float | None = Field(
        description="a scored episode, to act its support episodes and learn between them; few-shot only"
    )
    evaluating: float | None = Field(
        description="of all evaluation of one training, in every track and split, simulator included"
    )


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
    uses_expert_labels: bool = Field(
        default=False, description="it was trained with the expert's action in every state"
    )
    split: str
    track: str
    shots: int
    metric: Metric = Field(
        description="what the suite's score is made of: the return, or success; either way 0 is random and 100 expert"
    )
    headline: Estimate | None = Field(
        description="mean over tasks of the suite's score; null if no seed is complete or the suite is outdated"
    )
    worst_task: TaskScores | None = Field(description="the task with the lowest score over seeds")
    adaptation: Estimate | None = Field(
        description="100 (headline - blind) / (100 - blind): 0 is the best policy that knows neither task nor past; "
        "null without a blind reference and where knowing the task is worth less than 10"
    )
    clipped: int = Field(description="how many scores (seed, task) were clipped to [-100, 200]")
    normalised_return: Estimate | None = Field(
        description="mean over tasks of the normalised return; the headline where that is the suite's score"
    )
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
    protocol_archived: bool = Field(
        default=False, description="of an earlier protocol: kept and shown, never beside others"
    )
    data_as_published: bool | None = Field(
        description="false: other data than suite.toml states; null: it states none"
    )
    parameters: int = Field(description="trained parameters that acting uses; the most over seeds")
    costs: Costs
    devices: tuple[str, ...]
    created: str = Field(description="when its newest record was made, UTC")
