"""What a record's numbers can be at all: returns within the suite's bounds, counts that its rows account for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metabench.envs import Array
from metabench.evaluation.protocol import ARCHIVED_PROTOCOLS, SPLITS, choose_shot_counts
from metabench.evaluation.rows import Row
from metabench.runs.kept.record import Result
from metabench.suites import Suite

TOLERANCE = 1e-6
"""Relative to a bound: returns are sums of rounded rewards."""


class RecordLimits:
    """The limits of one suite; computed once for many records."""

    def __init__(self, suite: Suite) -> None:
        """Ask the suite's family for the bounds of every task's return; it knows none of an archived suite."""
        unbounded = (float("-inf"), float("inf"))
        horizon = suite.entry.horizon
        bounds = np.array(
            [
                unbounded
                if suite.archived
                else suite.family.return_bounds(task.parameters, horizon)
                for task in suite.tasks
            ],
            np.float64,
        )
        # (tasks, 2). No slack where there is no bound: minus infinity plus an infinite slack is no number.
        slack = np.where(np.isfinite(bounds), TOLERANCE * (1.0 + np.abs(bounds)), 0.0)
        self._low, self._high = bounds[:, 0] - slack[:, 0], bounds[:, 1] + slack[:, 1]
        self._slack = slack

    def check_rows(self, rows: Sequence[Row]) -> list[str]:
        """What no episode can have: returns out of bounds, success at the last step but at none; tasks are the suite's.

        At most one finding of each kind.
        """
        tasks, returns = _list_tasks_and_returns(rows)
        findings = []
        outside = np.flatnonzero((returns < self._low[tasks]) | (returns > self._high[tasks]))
        if len(outside):
            row = rows[int(outside[0])]
            low, high = self._low[row.task], self._high[row.task]
            findings.append(
                f"{len(outside)} returns outside what the suite allows, first in task {row.task}: "
                f"{row.total_return:g}, expected {low:g} to {high:g}"
            )
        odd = [row for row in rows if row.success_last and not row.success_any]
        if odd:
            findings.append(
                f"{len(odd)} episodes with success at the last step but at none, first in task {odd[0].task}"
            )
        return findings

    def lies_at_bounds(self, rows: Sequence[Row]) -> bool:
        """Whether all returns lie at a bound, where equal rows are no surprise; tasks are the suite's."""
        tasks, returns = _list_tasks_and_returns(rows)
        # `_low` and `_high` are already wider by one slack; two of them lead to as much within the bound.
        low, high = self._low + 2 * self._slack[:, 0], self._high - 2 * self._slack[:, 1]
        return bool(((returns <= low[tasks]) | (returns >= high[tasks])).all())


def check_counts(result: Result, suite: Suite) -> list[str]:
    """Counts of a record that its rows do not account for, a short text each.

    Steps are the sum of the rows' lengths. All lanes of a rollout act at once, so that it takes as many calls of `act`
    as its longest episode has steps; `adapt` is called once a rollout with support. Calls are counted only where the
    record holds all shots of its tracks: an absent block may have been the longest.
    """
    counts = result.counts
    expected = {
        "scored_steps": sum(
            row.length for block in result.blocks if block.split in SPLITS for row in block.rows
        ),
        "support_steps": sum(
            row.length for part in result.collections if part.split in SPLITS for row in part.rows
        ),
    }
    findings = [
        f"counts.{name}: the rows' lengths sum to {number}, found {getattr(counts, name)}"
        for name, number in expected.items()
        if getattr(counts, name) != number
    ]
    calls = _count_calls(result, suite)
    findings += [
        f"counts.{name}: the rows account for {number}, found {getattr(counts, name)}"
        for name, number in zip(("act_calls", "adapt_calls"), calls or (), strict=False)
        if getattr(counts, name) != number
    ]
    if result.cell.protocol not in ARCHIVED_PROTOCOLS and not result.privileged:
        findings += [
            f"counts.{name}: is missing; every run counts it"
            for name in ("development_steps", "replayed_lanes", "replayed_steps")
            if getattr(counts, name) is None
        ]
    return findings


def _count_calls(result: Result, suite: Suite) -> tuple[int, int] | None:
    longest: dict[tuple[str, str], dict[int, int]] = {}
    for block in result.blocks:
        lengths = longest.setdefault((block.split, block.track), {})
        lengths[block.shots] = max((row.length for row in block.rows), default=0)
    if any(
        tuple(sorted(shots)) != choose_shot_counts(suite, split, track)
        for (split, track), shots in longest.items()
    ):
        return None
    # In protocol 1 all shot counts of a track were one rollout, so that its longest episode counts once.
    together = result.cell.protocol == "1"
    act_calls = sum((max if together else sum)(shots.values()) for shots in longest.values())
    adapt_calls = sum(
        1 if together else len(shots)
        for (_, track), shots in longest.items()
        if track != "zero-shot"
    )
    for collection in result.collections:
        stages: dict[int, int] = {}
        for row in collection.rows:
            stages[row.episode] = max(row.length, stages.get(row.episode, 0))
        act_calls += sum(stages.values())
        adapt_calls += max(
            len(stages) - 1, 0
        )  # before the first support episode there is nothing to adapt to
    return act_calls, adapt_calls


def _list_tasks_and_returns(rows: Sequence[Row]) -> tuple[Array, Array]:
    return np.array([row.task for row in rows], np.int64), np.array(
        [row.total_return for row in rows], np.float64
    )
