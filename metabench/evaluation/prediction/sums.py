"""What the track `prediction` measured of a policy: sums of squared errors, from which all errors are computed."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from metabench.system.strict_model import StrictModel

DIGITS = 3
"""Significant digits of sums and shares."""


def round_sum(value: float) -> float:
    """A sum as records hold it."""
    return float(f"{value:.{DIGITS}g}")


class ErrorSums(StrictModel):
    """Sums over pairs of prediction and outcome, a number a place; which places in which order, the owner says.

    Errors have a row for each shot count; the control and the pairs are the same for all.
    """

    pairs: tuple[int, ...] = Field(description="how many")
    control_observations: tuple[float, ...] = Field(
        description="of the control, which says that nothing changes: squared errors in units of the deviation of "
        "one-step changes, summed over dimensions; of cells, how many are wrong"
    )
    control_rewards: tuple[float, ...] = Field(
        description="of the control, which says the mean reward of training tasks: squared errors"
    )
    observations: tuple[tuple[float, ...], ...]
    rewards: tuple[tuple[float, ...], ...]

    def check_places(self, shots: int, places: int) -> None:
        """Raise `ValueError` unless there is a number for each place, and a row for each shot count."""
        rows = (self.pairs, self.control_observations, self.control_rewards)
        both = (*self.observations, *self.rewards)
        if any(len(row) != places for row in (*rows, *both)):
            raise ValueError(f"expected {places} numbers a row")
        if len(self.observations) != shots or len(self.rewards) != shots:
            raise ValueError(f"expected a row for each of {shots} shot counts")
        numbers = [number for row in (*rows, *both) for number in row]
        if not all(math.isfinite(number) and number >= 0 for number in numbers):
            raise ValueError("expected finite numbers of 0 or more")


class Calibration(StrictModel):
    """Shares of outcomes in the central 50 and 90 % of what was predicted, by condition, a row a shot count."""

    observations_50: tuple[tuple[float, ...], ...] | None = Field(
        description="over dimensions; null without predicted deviations"
    )
    observations_90: tuple[tuple[float, ...], ...] | None
    rewards_50: tuple[tuple[float, ...], ...] | None
    rewards_90: tuple[tuple[float, ...], ...] | None

    def check_places(self, shots: int, places: int) -> None:
        """Raise `ValueError` unless there is a share for each place, and a row for each shot count."""
        for rows in (
            self.observations_50,
            self.observations_90,
            self.rewards_50,
            self.rewards_90,
        ):
            if rows is None:
                continue
            if len(rows) != shots or any(len(row) != places for row in rows):
                raise ValueError(f"expected {shots} rows of {places} shares")
            if not all(0 <= share <= 1 for row in rows for share in row):
                raise ValueError("expected shares of 0 to 1")


class Predictions(StrictModel):
    """Errors of a policy's predictions of one split's held-out trajectories.

    A pair is a trajectory, a number of its first steps that the policy saw (`prefixes`) and a number of steps ahead
    (`steps`). All predictions use the logged actions.
    """

    split: Literal["test", "test-far"]
    cells: bool = Field(
        description="observations are whole numbers, and predicted right or wrong once rounded"
    )
    shots: tuple[int, ...] = Field(min_length=1, description="logged episodes of the task")
    tasks: tuple[int, ...] = Field(min_length=1, description="ids, ascending")
    behaviours: tuple[str, ...] = Field(min_length=1)
    prefixes: tuple[int, ...] = Field(min_length=1)
    steps: tuple[int, ...] = Field(min_length=1)
    trajectories: int = Field(ge=1, description="in all")
    left_out: int = Field(ge=0, description="pairs that lie beyond the end of their episode")
    by_task: ErrorSums = Field(description="places: tasks x steps, over behaviours and prefixes")
    by_condition: ErrorSums = Field(description="places: behaviours x prefixes x steps, over tasks")
    calibration: Calibration | None = Field(
        description="places as `by_condition`; null where the policy predicts no deviations"
    )

    @model_validator(mode="after")
    def _check_places(self) -> Self:
        shots, steps = len(self.shots), len(self.steps)
        conditions = len(self.behaviours) * len(self.prefixes) * steps
        for name, part, places in (
            ("by_task", self.by_task, len(self.tasks) * steps),
            ("by_condition", self.by_condition, conditions),
            ("calibration", self.calibration, conditions),
        ):
            if part is not None:
                try:
                    part.check_places(shots, places)
                except ValueError as error:
                    raise ValueError(f"{name}: {error}") from error
        if sum(self.by_task.pairs) != sum(self.by_condition.pairs):
            raise ValueError("by_task and by_condition: expected the same number of pairs")
        return self


class PredictionCost(StrictModel):
    """What predicting with one shot count used of a policy."""

    split: Literal["test", "test-far"]
    shots: int = Field(ge=0)
    lanes: int = Field(ge=0, description="trajectories")
    predict_calls: int = Field(ge=0, description="each for all lanes")
    adapt_calls: int = Field(ge=0)
    seconds_predicting: float = Field(ge=0)
    seconds_adapting: float = Field(ge=0)
