"""Adding up the errors of predictions, by task and by condition."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metabench.envs import Array
from metabench.evaluation.prediction.held_out import HeldOut
from metabench.evaluation.prediction.quota import PREFIXES, list_steps_ahead
from metabench.evaluation.prediction.sums import (
    Calibration,
    ErrorSums,
    Predictions,
    round_sum,
)
from metabench.evaluation.prediction.units import PredictionUnits
from metabench.methods.contract import Prediction

LARGEST_MISS = 1e12
"""Errors are clipped to this, in their units: the square of what a model makes of it once it runs off is no number."""

CENTRAL = {50: 0.6744897501960817, 90: 1.6448536269514722}
"""Standard deviations about the mean within which so many per cent of a normal distribution lie."""

_KINDS = ("observations", "rewards")


class Tally:
    """Sums over the pairs of one split."""

    def __init__(self, held_out: HeldOut, units: PredictionUnits, shots: int, horizon: int) -> None:
        """Begin with nothing.

        Args:
            held_out: the trajectories.
            units: of errors, and the control's reward.
            shots: how many shot counts there are.
            horizon: the suite's.
        """
        self._held_out, self._units = held_out, units
        self._moving = units.deviations > 0
        self._prefixes = tuple(prefix for prefix in PREFIXES if list_steps_ahead(horizon, prefix))
        self._steps = list_steps_ahead(horizon, self._prefixes[0])
        self._horizon = horizon
        self._tasks = tuple(sorted({lane.task for lane in held_out.lanes}))
        self._task = np.searchsorted(
            self._tasks, [lane.task for lane in held_out.lanes]
        )  # (lanes,)
        self._behaviour = np.array([lane.behaviour for lane in held_out.lanes])
        self._length = np.array([len(lane.episode) for lane in held_out.lanes])
        # Of each pair: a row a shot count, then task, behaviour, prefix and steps ahead.
        shape = (
            len(self._tasks),
            len(held_out.behaviours),
            len(self._prefixes),
            len(self._steps),
        )
        self._own = {kind: np.zeros((shots, *shape)) for kind in _KINDS}
        self._control = {kind: np.zeros(shape) for kind in _KINDS}
        self._inside = {
            (kind, share): np.zeros((shots, *shape)) for kind in _KINDS for share in CENTRAL
        }
        self._told = dict.fromkeys(_KINDS, False)
        self._pairs = np.zeros(shape, np.int64)
        self._left_out = 0

    def add(self, row: int, prefix: int, places: Array, said: Prediction) -> None:
        """Count what was said of the lanes at `places` after `prefix` steps with the shot count of `row`; each once."""
        for number, steps in enumerate(self._steps):
            if steps not in list_steps_ahead(self._horizon, prefix):
                continue
            there = self._length[places] >= prefix + steps  # (places,)
            lanes = places[there]
            at = (
                self._task[lanes],
                self._behaviour[lanes],
                np.full(len(lanes), self._prefixes.index(prefix)),
                np.full(len(lanes), number),
            )
            if row == 0:
                np.add.at(self._pairs, at, 1)
                self._left_out += int((~there).sum())
            episodes = [self._held_out.lanes[lane].episode for lane in lanes]
            shape = (len(lanes), len(self._moving))
            outcome, before = (
                np.array([each.observations[time] for each in episodes], np.float64).reshape(shape)
                for time in (prefix + steps, prefix)
            )
            earned = np.array([each.rewards[prefix + steps - 1] for each in episodes], np.float64)
            seen, reward = said.observations[there, steps - 1], said.rewards[there, steps - 1]
            self._sum(
                "observations", row, at, self._miss(seen, outcome), self._miss(before, outcome)
            )
            mean = np.full(len(lanes), self._units.mean_reward)
            self._sum("rewards", row, at, _square(reward - earned), _square(mean - earned))
            if said.observation_deviations is not None:
                spread = said.observation_deviations[there, steps - 1][:, self._moving]
                self._count_inside(
                    "observations", row, at, np.abs(seen - outcome)[:, self._moving], spread
                )
            if said.reward_deviations is not None:
                spread = said.reward_deviations[there, steps - 1][:, None]
                self._count_inside("rewards", row, at, np.abs(reward - earned)[:, None], spread)

    def _miss(self, found: Array, true: Array) -> Array:
        """`(lanes,)` what is missed of `(lanes, observation_dim)`: squared and summed, or 1 for a wrong cell."""
        if self._units.cells:
            return np.asarray((np.rint(found) != true).any(axis=1), np.float64)
        units = self._units.deviations[self._moving]
        return np.asarray(_square((found - true)[:, self._moving] / units).sum(axis=1))

    def _sum(self, kind: str, row: int, at: tuple[Array, ...], mine: Array, control: Array) -> None:
        np.add.at(self._own[kind][row], at, mine)
        if row == 0:
            np.add.at(self._control[kind], at, control)

    def _count_inside(
        self, kind: str, row: int, at: tuple[Array, ...], outcome: Array, spread: Array
    ) -> None:
        """Add to each pair the share of its `(lanes, dims)` outcomes in the centre."""
        if outcome.shape[1] == 0:
            return
        self._told[kind] = True
        for share, width in CENTRAL.items():
            np.add.at(self._inside[kind, share][row], at, (outcome <= width * spread).mean(axis=1))

    def make_predictions(self, split: str, shots: Sequence[int]) -> Predictions:
        """All sums, rounded."""
        return Predictions.model_validate(
            {
                "split": split,
                "cells": self._units.cells,
                "shots": tuple(shots),
                "tasks": self._tasks,
                "behaviours": self._held_out.behaviours,
                "prefixes": self._prefixes,
                "steps": self._steps,
                "trajectories": len(self._length),
                "left_out": self._left_out,
                "by_task": self._make_sums((1, 2)),
                "by_condition": self._make_sums((0,)),
                "calibration": self._make_calibration(),
            }
        )

    def _make_sums(self, over: tuple[int, ...]) -> ErrorSums:
        """Sums over these axes of (tasks, behaviours, prefixes, steps)."""
        return ErrorSums(
            pairs=tuple(self._pairs.sum(axis=over).ravel().tolist()),
            control_observations=_round(self._control["observations"].sum(axis=over)),
            control_rewards=_round(self._control["rewards"].sum(axis=over)),
            observations=tuple(_round(each.sum(axis=over)) for each in self._own["observations"]),
            rewards=tuple(_round(each.sum(axis=over)) for each in self._own["rewards"]),
        )

    def _make_calibration(self) -> Calibration | None:
        if not any(self._told.values()):
            return None
        pairs = np.maximum(self._pairs.sum(axis=0), 1)
        return Calibration.model_validate(
            {
                f"{kind}_{share}": tuple(_round(each.sum(axis=0) / pairs) for each in inside)
                if self._told[kind]
                else None
                for (kind, share), inside in self._inside.items()
            }
        )


def _square(misses: Array) -> Array:
    return np.asarray(np.minimum(np.abs(misses), LARGEST_MISS) ** 2)


def _round(values: Array) -> tuple[float, ...]:
    return tuple(map(round_sum, values.ravel().tolist()))
