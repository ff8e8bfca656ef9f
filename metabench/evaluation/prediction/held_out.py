"""Which logged trajectories of the test tasks are to be predicted, and the episodes that policies are given before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from metabench.data.load import load_columns
from metabench.envs import Array
from metabench.evaluation import protocol, seeds
from metabench.evaluation.prediction.quota import SHOTS, SUPPORT_DATASET, list_behaviours
from metabench.methods.contract import Episode
from metabench.suites import Suite

TRAJECTORIES = 20
"""Of each task and behaviour, or as many as there are outside all supports."""

SUPPORTS = 5
"""Supports that a task's trajectories share, the first ones of `logged-shot`, or as many as it has."""

LANES_AT_ONCE = 300
"""Lanes that are predicted together, or those of one task if they are more."""


@dataclass(frozen=True)
class HeldOutLane:
    """One trajectory to be predicted.

    Attributes:
        task: the suite's task id.
        behaviour: place in the behaviours.
        support: which of the task's logged supports goes with it.
        episode: the whole trajectory; policies see its first steps.
    """

    task: int
    behaviour: int
    support: int
    episode: Episode


@dataclass(frozen=True)
class HeldOut:
    """All trajectories of a split that are to be predicted.

    Attributes:
        behaviours: the datasets that they are of.
        lanes: in a fixed shuffled order.
        supports: of each (task, support) its logged episodes, as many as the largest shot count; empty without shots.
    """

    behaviours: tuple[str, ...]
    lanes: tuple[HeldOutLane, ...]
    supports: Mapping[tuple[int, int], Sequence[Episode]]

    def list_parts(self) -> list[Array]:
        """Places of the lanes that are predicted together, whole tasks, in their order: that bounds memory."""
        parts: list[list[int]] = [[]]
        by_task: dict[int, list[int]] = {}
        for place, lane in enumerate(self.lanes):
            by_task.setdefault(lane.task, []).append(place)
        for places in by_task.values():
            if parts[-1] and len(parts[-1]) + len(places) > LANES_AT_ONCE:
                parts.append([])
            parts[-1] += places
        return [np.sort(part) for part in parts]

    def list_groups(self, places: Array, shots: int) -> list[int]:
        """The groups of lanes: with support those of a task and support share one, else each has its own.

        Groups are numbered by appearance, so that they tell nothing of a task.
        """
        if not shots:
            return list(range(len(places)))
        numbers: dict[tuple[int, int], int] = {}
        lanes = [self.lanes[place] for place in places]
        return [numbers.setdefault((lane.task, lane.support), len(numbers)) for lane in lanes]

    def list_lanes(self, places: Array, shots: int) -> list[protocol.Lane]:
        """The lanes as the policy has them: task, support and group."""
        lanes = [self.lanes[place] for place in places]
        groups = self.list_groups(places, shots)
        return [
            protocol.Lane(lane.task, lane.support, shots, 0, group)
            for lane, group in zip(lanes, groups, strict=True)
        ]

    def make_support(self, places: Array, shots: int) -> dict[int, Sequence[Episode]]:
        """The first `shots` logged episodes of the support of each of these groups."""
        lanes = [self.lanes[place] for place in places]
        return {
            group: self.supports[lane.task, lane.support][:shots]
            for group, lane in zip(self.list_groups(places, shots), lanes, strict=True)
        }


def load_held_out(suite: Suite, split: str, shots: int) -> HeldOut:
    """The trajectories to be predicted, the same for every method and seed; none where the supports leave none.

    None is in any support of `logged-shot`: a policy may have seen those.

    Args:
        suite: the suite, whose data are built.
        split: a split of `protocol.list_prediction_tracks`.
        shots: the most episodes of support.

    Raises:
        DataError: a dataset is not built.
        MetabenchError: a task has too few trajectories for the supports.
    """
    behaviours = list_behaviours(suite, split)
    most = min(SUPPORTS, suite.entry.evaluation.supports)
    lanes: list[HeldOutLane] = []
    supports: dict[tuple[int, int], list[Episode]] = {}
    for place, behaviour in enumerate(behaviours):
        columns = load_columns(suite, behaviour, split, build=False)
        for task in protocol.list_tasks(suite, split):
            episodes = np.flatnonzero(columns.tasks == task.id)
            drawn: list[list[int]] = []
            if behaviour == SUPPORT_DATASET:
                count = min(max(SHOTS), len(episodes))
                drawn = [
                    protocol.draw_logged_support(suite, split, task.id, i, len(episodes), count)
                    for i in range(suite.entry.evaluation.supports)
                ]
            if behaviour == SUPPORT_DATASET and shots:
                for support in range(most):
                    supports[task.id, support] = [
                        columns.episode(int(episodes[i]))
                        for i in protocol.draw_logged_support(
                            suite, split, task.id, support, len(episodes), shots
                        )
                    ]
            seen = {i for support in drawn for i in support}
            seed = seeds.seed_held_out(suite, split, task.id, behaviour)
            order = np.random.default_rng(seed).permutation(len(episodes)).tolist()
            chosen = [i for i in order if i not in seen][:TRAJECTORIES]
            lanes += [
                HeldOutLane(task.id, place, number % most, columns.episode(int(episodes[i])))
                for number, i in enumerate(chosen)
            ]
    shuffled = np.random.default_rng(seeds.seed_prediction_order(suite, split)).permutation(
        len(lanes)
    )
    return HeldOut(behaviours, tuple(lanes[i] for i in shuffled), supports)
