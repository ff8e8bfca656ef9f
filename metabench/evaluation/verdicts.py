"""What two methods' scores allow to say: an interval over seeds and tasks, verdicts, ranges of ranks, 'first'.

A method that is better on these test tasks need not be better on others of their distribution, and one that its seeds
favour need not be better with others. One interval holds both: test tasks are a sample as seeds are.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metabench.evaluation.statistics import CONFIDENCE, Floats, Interval

Verdict = Literal["better", "worse", "undecided"]
"""What a difference of two methods says of the first."""

SEEDS_FOR_A_VERDICT = 3
TASKS_FOR_A_VERDICT = 10
"""With fewer seeds of either method, or fewer tasks, an interval is shown and no verdict is given."""


@dataclass(frozen=True)
class MethodSummary:
    """What comparisons need of one method's `(seeds, tasks)` scores.

    Attributes:
        task_means: `(tasks,)` means over seeds.
        seeds: number of seeds.
        seed_variance: variance over seeds of the means over tasks.
        residual: mean square of what seed and task leave unexplained, seed x task.
    """

    task_means: Floats
    seeds: int
    seed_variance: float
    residual: float


@dataclass(frozen=True)
class Contrast:
    """The difference of two methods, with its variance over seeds and tasks.

    Attributes:
        difference: mean of the first minus mean of the second.
        variance: of `difference`.
        parts: the variances that it is made of, each with its degrees of freedom.
        seeds: fewest seeds of either.
        tasks: fewest tasks.
    """

    difference: float
    variance: float
    parts: tuple[tuple[float, int], ...]
    seeds: int
    tasks: int

    @property
    def freedom(self) -> float:
        """Degrees of freedom by Satterthwaite, at least those of the seeds alone."""
        least = float(self.seeds - 1)
        # In shares of the variance, so that nothing is squared but numbers about 1.
        shares = [(part / self.variance, freedom) for part, freedom in self.parts if part > 0.0]
        return max(1.0 / sum(share**2 / freedom for share, freedom in shares), least)

    @property
    def p_value(self) -> float:
        """Probability of such a difference or a larger one, either way, of two equal methods."""
        from scipy.special import stdtr

        if self.variance == 0.0:
            return 1.0 if self.difference == 0.0 else 0.0
        return 2.0 * float(stdtr(self.freedom, -abs(self.difference) / math.sqrt(self.variance)))

    @property
    def may_be_judged(self) -> bool:
        """Whether there are seeds and tasks enough for a verdict."""
        return self.seeds >= SEEDS_FOR_A_VERDICT and self.tasks >= TASKS_FOR_A_VERDICT

    @property
    def verdict(self) -> Verdict | None:
        """Whether the interval excludes zero; None with too few seeds or tasks."""
        if not self.may_be_judged:
            return None
        interval = self.find_interval()
        return "better" if interval.low > 0 else "worse" if interval.high < 0 else "undecided"

    def reverse(self) -> Contrast:
        """The second method less the first."""
        return dataclasses.replace(self, difference=-self.difference)

    def find_interval(self, confidence: float = CONFIDENCE) -> Interval:
        """Student's t interval of the difference, over seeds and tasks; of width zero where nothing varies."""
        from scipy.special import stdtrit

        half = 0.0
        if self.variance > 0.0:
            half = float(stdtrit(self.freedom, 0.5 + confidence / 2)) * math.sqrt(self.variance)
        return Interval(self.difference - half, self.difference + half)


def summarise_method(scores: ArrayLike) -> MethodSummary | None:
    """Summarise `(seeds, tasks)` scores; None with fewer than two seeds or two tasks, of which nothing can be told."""
    matrix = np.asarray(scores, np.float64)
    if matrix.ndim != 2 or min(matrix.shape) < 2:
        return None
    seeds, tasks = matrix.shape
    by_task, by_seed = matrix.mean(axis=0), matrix.mean(axis=1)  # (tasks,) and (seeds,)
    left = matrix - by_task - by_seed[:, None] + matrix.mean()
    residual = float((left**2).sum()) / ((seeds - 1) * (tasks - 1))
    return MethodSummary(by_task, seeds, float(by_seed.var(ddof=1)), residual)


def contrast_methods(first: MethodSummary, second: MethodSummary) -> Contrast:
    """The difference of two methods over the same tasks, in the same order.

    Its variance is that of the seeds plus that of the tasks, less what both of them count: the scatter of seed x task
    is in the means over tasks and in the means over seeds. It is at least either of the two.

    Raises:
        ValueError: they have different numbers of tasks.
    """
    if len(first.task_means) != len(second.task_means):
        counts = f"{len(first.task_means)} and {len(second.task_means)}"
        raise ValueError(f"{counts} tasks: expected the same tasks of both")
    tasks = len(first.task_means)
    differences = first.task_means - second.task_means  # (tasks,)
    difference = float(differences.sum()) / tasks
    # Written out, since `var` takes most of a comparison's time, and a board of 300 methods makes 45,000 of them.
    around = differences - difference
    one, two = (each.seed_variance / each.seeds for each in (first, second))
    task_part = float(around @ around) / (tasks - 1) / tasks
    counted_twice = sum(each.residual / (each.seeds * tasks) for each in (first, second))
    return Contrast(
        difference=difference,
        variance=max(one + two + task_part - counted_twice, one + two, task_part),
        parts=((one, first.seeds - 1), (two, second.seeds - 1), (task_part, tasks - 1)),
        seeds=min(first.seeds, second.seeds),
        tasks=tasks,
    )


def compare_methods_on(first: ArrayLike, second: ArrayLike) -> Contrast | None:
    """The difference by scores `(seeds, tasks)` and `(other seeds, tasks)`; None where nothing can be told."""
    summaries = summarise_method(first), summarise_method(second)
    if summaries[0] is None or summaries[1] is None:
        return None
    return contrast_methods(summaries[0], summaries[1])


def average_contrasts(contrasts: Sequence[Contrast]) -> Contrast:
    """The mean of the differences in several suites, whose seeds and tasks are independent of each other."""
    count = len(contrasts)
    return Contrast(
        difference=sum(each.difference for each in contrasts) / count,
        variance=sum(each.variance for each in contrasts) / count**2,
        parts=tuple(
            (part / count**2, freedom) for each in contrasts for part, freedom in each.parts
        ),
        seeds=min(each.seeds for each in contrasts),
        tasks=min(each.tasks for each in contrasts),
    )


def find_rank_ranges(better: ArrayLike) -> list[tuple[int, int]]:
    """The ranks that each of N methods may have, best and worst.

    Args:
        better: `(N, N)`, whether the method of the row is better, by verdict, than that of the column.

    Returns:
        From 1 + (methods better than it) to N - (methods that it is better than).
    """
    wins: NDArray[np.bool_] = np.asarray(better, np.bool_)
    count = len(wins)
    return [(1 + int(wins[:, i].sum()), count - int(wins[i].sum())) for i in range(count)]


def adjust_by_holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values: those at most 1 - `CONFIDENCE` are rejected, with that error over all of them."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for step, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - step) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def is_first(contrasts: Sequence[Contrast | None]) -> bool:
    """Whether a method is first: better than each other one, with Holm's correction over these comparisons.

    Args:
        contrasts: of this method with each other one; None where nothing can be told. Of one alone nothing is first.
    """
    if not contrasts or any(each is None or each.verdict != "better" for each in contrasts):
        return False
    adjusted = adjust_by_holm([each.p_value for each in contrasts if each is not None])
    return max(adjusted) <= 1.0 - CONFIDENCE
