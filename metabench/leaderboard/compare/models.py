"""What a comparison of two methods says, as strict models with a version."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from metabench.leaderboard.scores.models import Estimate, Metric, Profile
from metabench.system.strict_model import StrictModel


class Difference(StrictModel):
    """The first method's score minus the second's."""

    mean: float
    interval: tuple[float, float] | None = Field(
        description="95 % interval over seeds and tasks; null with fewer than two seeds of either or two tasks, and "
        "of one task"
    )
    seed_interval: tuple[float, float] | None = Field(
        description="95 % Welch interval over seeds alone: on these tasks; null with fewer than two seeds of either"
    )


class Side(StrictModel):
    """One of the two methods, in one split, track and number of shots of one suite."""

    entry: str = Field(description="`id` of its entry in leaderboard.json")
    label: str
    method_version: int
    preset: str
    config_digest: str
    privileged: bool = Field(description="it is shown the test tasks")
    headline: Estimate
    seeds: dict[int, float] = Field(description="the number that the suite is ranked by, by seed")
    profile: Profile = Field(description="of its run x task matrix of scores")


class TaskComparison(StrictModel):
    """One task: the suite's scores, mean over episodes, over seeds."""

    task: int
    unit: str | None = Field(description="the environment that is one unit with its other tasks")
    first: Estimate
    second: Estimate
    difference: Difference
    probability_of_improvement: float = Field(
        description="share of seed pairs in which the first is higher here"
    )


class SuiteComparison(StrictModel):
    """Two methods in one split, track and number of shots of one suite: all but the methods is equal."""

    suite: str
    suite_version: int
    suite_digest: str
    dataset: str
    dataset_version: int
    dataset_digest: str
    protocol: str
    split: str
    track: str
    shots: int
    metric: Metric
    success_rule: Literal["last", "any"] | None = Field(
        description="which step's success is scaled by the tasks' references; null where returns are, or percentages"
    )
    first: Side
    second: Side
    difference: Difference
    probability_of_improvement: float = Field(
        description="share of seed pairs in which the first method's score is higher, ties counted half"
    )
    verdict: Literal["better", "worse", "undecided"] | None = Field(
        description="of the first method, by the interval over seeds and tasks; null with fewer than 3 seeds of either "
        "or 10 tasks, and beside a privileged one"
    )
    rliable_probability_of_improvement: Estimate = Field(
        description="as rliable defines it: mean over tasks of the share of run pairs, stratified bootstrap interval"
    )
    tasks: tuple[TaskComparison, ...]


class CoreComparison(StrictModel):
    """Two methods over the suites of the core set that both have records in: means over suites of the headlines."""

    protocol: str
    first_preset: str
    second_preset: str
    track: str
    shots: int
    suites: tuple[str, ...] = Field(description="that the means are over")
    missing: tuple[str, ...] = Field(description="suites of the core set that the means lack")
    first: Estimate
    second: Estimate
    difference: Difference
    probability_of_improvement: float = Field(
        description="mean over suites of the shares of seed pairs"
    )
    verdict: Literal["better", "worse", "undecided"] | None = Field(
        description="null with fewer than 3 seeds or 10 tasks anywhere, beside a privileged method, and while a suite "
        "is missing"
    )
    first_profile: Profile = Field(description="mean over suites of the profiles")
    second_profile: Profile


class Comparison(StrictModel):
    """The comparison of two methods, in every setting where both have records."""

    schema_version: Literal[2]
    confidence: float = Field(description="of all intervals")
    seeds_for_a_verdict: int
    tasks_for_a_verdict: int
    first: str = Field(description="the first method, as asked for")
    second: str
    comparisons: tuple[SuiteComparison, ...]
    core: tuple[CoreComparison, ...]
    notes: tuple[str, ...] = Field(
        description="what a reader must know: presets that differ, suites left out"
    )
