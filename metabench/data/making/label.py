"""Labelling logged trajectories: what the suite's expert does in every state that somebody else came to."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from metabench.data.columns import Columns
from metabench.data.making.roll_out import round_actions
from metabench.data.trajectories import CHUNK, Trajectories
from metabench.envs import Array
from metabench.seeding import derive_seed
from metabench.suites import Suite


def label_trajectories(suite: Suite, trajectories: Trajectories) -> Iterator[Trajectories]:
    """The same trajectories in the same order, some at a time, with `columns.expert_actions`.

    The teacher is shown each episode's observations from the first to the last but one, in order, as if it acted: it
    may remember. Its actions are free of noise (`Teacher.act_without_noise`), and rounded as all actions are.
    """
    whole, success = trajectories.columns, trajectories.success
    for start in range(0, len(whole.tasks), CHUNK):
        episodes = np.arange(start, min(start + CHUNK, len(whole.tasks)))
        tasks = np.array(whole.tasks[episodes])
        columns = dataclasses.replace(whole.select(episodes), tasks=tasks)
        first, end = whole.offsets[start], whole.offsets[episodes[-1] + 1]
        yield Trajectories(
            dataclasses.replace(columns, expert_actions=_ask_expert(suite, columns)),
            np.array(trajectories.behaviours[episodes]),
            np.array(trajectories.seeds[episodes]),
            None if success is None else np.array(success[first:end]),
        )


def _ask_expert(suite: Suite, columns: Columns) -> Array:
    """`(N, ...)` what the expert does in the state before each transition; `columns.tasks` are suite task ids."""
    teacher, lengths = suite.teacher(), np.diff(columns.offsets)
    parameters = [suite.tasks[task].parameters for task in columns.tasks.tolist()]
    # A teacher may need seeds; what it does without noise does not depend on them.
    seeds = [derive_seed("labels", lane) for lane in range(len(lengths))]
    teacher.reset(["expert"] * len(lengths), parameters, seeds)
    asked = np.zeros_like(columns.actions)
    for timestep in range(int(lengths.max())):
        # Episodes that have ended wait in their last state.
        steps = np.minimum(timestep, lengths)
        seen = columns.observations[columns.offsets[:-1] + np.arange(len(lengths)) + steps]
        actions = round_actions(suite, teacher.act_without_noise(seen))
        going = timestep < lengths
        asked[columns.offsets[:-1][going] + timestep] = actions[going]
    return asked
