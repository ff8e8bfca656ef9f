"""The real environments of the reproduction: what contexts are collected there, and what policies earn there."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from metabench import (
    Array,
    BatchedEnvironment,
    Episode,
    Spaces,
    Step,
    TaskParameters,
    Teacher,
    load_suite,
)

from .reacher import NAME as REACHER
from .reacher import Reacher

CUT = 50
"""Steps after which an episode of a context is cut."""

STEPS_AFTER_END: Mapping[str, int] = {"cartpole": 4}
"""Steps that a context goes on for after an episode's end: each ends it again and earns 0, as in Gymnasium."""

MIXTURES: Mapping[str, tuple[float, ...]] = {
    "random": (1.0,),
    "expert": (0.0,),
    "p-expert": (0.5,),
    "mixture": (0.0, 0.5, 1.0),
}
"""Kinds of context: the probability of a random action, else the expert's, in equal parts of the rows."""

ENDED: Mapping[str, Callable[[Tensor], Tensor]] = {
    "grid-world": lambda state: (
        (state.round() <= 0) | (state.round() >= state.new_tensor([6.0, 7.0]))
    ).any(-1),
    "simple-env": lambda state: torch.zeros_like(state[..., 0], dtype=torch.bool),
    "cartpole": lambda state: (
        (state[..., 0].abs() > 2.4) | (state[..., 2].abs() > 12 * math.pi / 180)
    ),
    "mountain-car": lambda state: state[..., 0] >= 0.5,
    "pendulum": lambda state: torch.zeros_like(state[..., 0], dtype=torch.bool),
    REACHER: lambda state: torch.zeros_like(state[..., 0], dtype=torch.bool),
}
"""The rules that the paper wrote by hand: which of `(..., S)` imagined states end an episode."""

LANES = 16
"""Episodes that are collected at once."""


class RealTask(Protocol):
    """One task of a real environment."""

    @property
    def parameters(self) -> TaskParameters:
        """Its numbers."""
        ...


class RealEnvironment(Protocol):
    """What is asked of a suite, and of Reacher, which is none."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def spaces(self) -> Spaces:
        """Of observations and actions, with the horizon."""
        ...

    def environment(self) -> BatchedEnvironment:
        """New lanes."""
        ...

    def teacher(self) -> Teacher:
        """Whoever acts as its expert."""
        ...

    def split(self, name: str, /) -> Sequence[RealTask]:
        """The tasks of a split."""
        ...


def load_environment(name: str) -> RealEnvironment:
    """The suite, or Reacher."""
    return Reacher() if name == REACHER else load_suite(name)


@dataclass(frozen=True)
class CollectedContext:
    """Some steps in a real environment.

    Attributes:
        episodes: the steps; each after an end is an episode of its own.
        starts: `(n, S)` observations after resets.
    """

    episodes: list[Episode]
    starts: Array


def collect_context(
    suite: RealEnvironment, kind: str, rows: int, generator: np.random.Generator
) -> CollectedContext:
    """A context of `rows` steps of the suite's test task, of one of the kinds of `MIXTURES`."""
    parts = MIXTURES[kind]
    sizes = [
        rows * (part + 1) // len(parts) - rows * part // len(parts) for part in range(len(parts))
    ]
    after = STEPS_AFTER_END.get(suite.name, 0)
    collected = [
        collect_steps(suite, fraction, size, generator, after)
        for fraction, size in zip(parts, sizes, strict=True)
    ]
    return CollectedContext(
        [episode for each in collected for episode in each.episodes],
        np.concatenate([each.starts for each in collected]),
    )


def collect_steps(
    suite: RealEnvironment,
    fraction: float,
    rows: int,
    generator: np.random.Generator,
    after: int = 0,
) -> CollectedContext:
    """Steps of the suite's test task.

    Args:
        suite: the suite.
        fraction: the probability of a random action at each step; else it is the expert's.
        rows: number of steps.
        generator: the only randomness.
        after: steps that it goes on for after an end.
    """
    episodes: list[Episode] = []
    starts: list[Array] = []
    left = rows
    while left > 0:
        for lane in _collect_lanes(suite, fraction, generator, after):
            for number, episode in enumerate(lane):
                if left <= 0:
                    break
                if number == 0:
                    starts.append(episode.observations[0])
                episodes.append(_shorten(episode, left))
                left -= len(episodes[-1])
    return CollectedContext(episodes, np.stack(starts))


def draw_real_starts(suite: RealEnvironment, count: int, generator: np.random.Generator) -> Array:
    """`(count, S)` observations after as many real resets."""
    seeds = generator.integers(2**31, size=count).tolist()
    return suite.environment().reset([suite.split("test")[0].parameters] * count, seeds)


def measure_real_returns(
    suite: RealEnvironment, act: Callable[[Step], Array], seeds: Sequence[int]
) -> Array:
    """`(lanes,)` returns of one real episode a seed, all acted in at once."""
    environment, lanes = suite.environment(), len(seeds)
    observation = environment.reset([suite.split("test")[0].parameters] * lanes, seeds)
    previous, reward = suite.spaces.null_actions(lanes), np.zeros(lanes, np.float32)
    active, total = np.ones(lanes, bool), np.zeros(lanes)
    for timestep in range(suite.spaces.horizon):
        times = np.full(lanes, timestep, np.int64)
        previous = act(
            Step(observation, previous, reward, times, active.copy(), np.ones(lanes, bool))
        )
        step = environment.step(previous)
        observation, reward = step.observation, step.reward.astype(np.float32)
        total += active * step.reward
        active &= ~step.terminated
        if not active.any():
            break
    return total


def _collect_lanes(
    suite: RealEnvironment, fraction: float, generator: np.random.Generator, after: int
) -> list[list[Episode]]:
    """A lane's episode until it ends or is cut, then one of one step for each that it goes on for."""
    environment, teacher, spaces = suite.environment(), suite.teacher(), suite.spaces
    tasks = [suite.split("test")[0].parameters] * LANES
    seeds = generator.integers(2**31, size=(2, LANES)).tolist()
    observations = [environment.reset(tasks, seeds[0])]
    teacher.reset(["expert"] * LANES, tasks, seeds[1])
    actions, rewards, ends = [], [], []
    for _ in range(min(CUT, spaces.horizon)):
        uniform = spaces.uniform_actions(generator, (LANES,))
        expert = teacher.act(observations[-1]).astype(uniform.dtype)
        random = generator.random((LANES, *[1] * (uniform.ndim - 1))) < fraction
        actions.append(np.where(random, uniform, expert))
        step = environment.step(actions[-1])
        observations.append(step.observation)
        rewards.append(step.reward.astype(np.float32))
        ends.append(step.terminated)
    seen, acted, earned, ended = (
        np.stack(column, 1) for column in (observations, actions, rewards, ends)
    )
    lanes = []
    for lane in range(LANES):
        terminated = bool(ended[lane].any())
        length = int(ended[lane].argmax()) + 1 if terminated else len(actions)
        first = Episode(
            seen[lane, : length + 1],
            acted[lane, :length],
            earned[lane, :length],
            terminated,
            not terminated,
        )
        more = [
            Episode(
                seen[lane, row : row + 2],
                acted[lane, row : row + 1],
                np.zeros(1, np.float32),
                True,
                False,
            )
            for row in range(length, min(length + after, len(actions)))
        ]
        lanes.append([first, *more])
    return lanes


def _shorten(episode: Episode, steps: int) -> Episode:
    """Its first steps."""
    if len(episode) <= steps:
        return episode
    return Episode(
        episode.observations[: steps + 1],
        episode.actions[:steps],
        episode.rewards[:steps],
        False,
        True,
    )
