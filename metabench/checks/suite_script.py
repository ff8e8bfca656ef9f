"""Scripted lanes of a suite: given tasks, seeds and actions, what the environment does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metabench.envs import Array, BatchedEnvironment
from metabench.seeding import derive_seed
from metabench.suites import Suite


@dataclass(frozen=True)
class LaneScript:
    """What happens to the lanes from outside.

    Attributes:
        tasks: each lane's task, by id.
        seeds: each lane's seed.
        actions: `(horizon, lanes, ...)`, the actions of each step.
    """

    tasks: tuple[int, ...]
    seeds: tuple[int, ...]
    actions: Array

    def select_lanes(self, chosen: Sequence[int]) -> LaneScript:
        """Only these lanes, in this order."""
        tasks, seeds = (
            tuple(values[lane] for lane in chosen) for values in (self.tasks, self.seeds)
        )
        return LaneScript(tasks, seeds, self.actions[:, list(chosen)])


@dataclass(frozen=True)
class Trace:
    """What the lanes did, in steps 0 to horizon; what follows a lane's end means nothing.

    Attributes:
        observations: `(horizon + 1, lanes, observation_dim)`.
        rewards: `(horizon, lanes)`.
        terminated: `(horizon, lanes)` bool.
        success: `(horizon, lanes)` bool, or None where the family has no notion of it.
    """

    observations: Array
    rewards: Array
    terminated: Array
    success: Array | None

    @property
    def lengths(self) -> Array:
        """`(lanes,)`: steps of each episode."""
        ends = self.terminated.any(axis=0)
        return np.where(ends, self.terminated.argmax(axis=0) + 1, len(self.terminated))

    def select_lanes(self, chosen: Sequence[int]) -> Trace:
        """Only these lanes, in this order."""
        which = list(chosen)
        success = None if self.success is None else self.success[:, which]
        return Trace(
            self.observations[:, which], self.rewards[:, which], self.terminated[:, which], success
        )

    def is_same_episode(self, lane: int, other: int) -> bool:
        """Whether two lanes did exactly the same."""
        return find_difference(self.select_lanes([lane]), self.select_lanes([other]), [0]) is None


def make_lane_script(
    suite: Suite, tasks: Sequence[int], name: str, *, alike: int | None = None
) -> LaneScript:
    """Lanes of `tasks` that act at random: uniformly, and every fourth of them at the bounds.

    Args:
        suite: the suite.
        tasks: each lane's task.
        name: names the draws.
        alike: all lanes have the seed and actions of the lane of this number.
    """
    spaces = suite.spaces
    lanes = range(len(tasks)) if alike is None else [alike] * len(tasks)
    columns = []
    for lane in lanes:
        generator = np.random.default_rng(derive_seed("check", name, lane))
        column = spaces.uniform_actions(generator, (spaces.horizon,))
        if lane % 4 == 3 and not spaces.discrete:
            bounds = np.array([spaces.action_low, spaces.action_high], np.float32)
            column = np.where(generator.random(column.shape) < 0.5, bounds[0], bounds[1])
        columns.append(column)
    seeds = tuple(derive_seed("check", name, "seed", lane) for lane in lanes)
    return LaneScript(tuple(tasks), seeds, np.stack(columns, axis=1))


def play_script(
    suite: Suite, script: LaneScript, environment: BatchedEnvironment | None = None
) -> Trace:
    """Step the lanes through all of `script`, in a new environment or in this one."""
    environment = environment or suite.environment()
    parameters = [suite.tasks[task].parameters for task in script.tasks]
    observations = [np.array(environment.reset(parameters, list(script.seeds)))]
    rewards, terminated, success = [], [], []
    for actions in script.actions:
        step = environment.step(actions.copy())
        observations.append(
            np.array(step.observation)
        )  # copies: an environment may reuse its arrays
        rewards.append(np.array(step.reward))
        terminated.append(np.array(step.terminated))
        if step.success is not None:
            success.append(np.array(step.success))
    told = np.stack(success) if len(success) == len(rewards) else None
    return Trace(np.stack(observations), np.stack(rewards), np.stack(terminated), told)


def find_difference(
    expected: Trace, found: Trace, lanes: Sequence[int] | None = None
) -> str | None:
    """Where two traces first differ before an episode's end, bit for bit; None if nowhere.

    Args:
        expected: what was to be.
        found: what was.
        lanes: names of the lanes in the message; by default their positions.
    """
    ends = expected.lengths
    names = range(len(ends)) if lanes is None else lanes
    pairs = [
        ("observation", expected.observations, found.observations),
        ("reward", expected.rewards, found.rewards),
        ("terminated", expected.terminated, found.terminated),
    ]
    if expected.success is not None and found.success is not None:
        pairs.append(("success", expected.success, found.success))
    places: list[tuple[int, int, str]] = []
    for name, one, two in pairs:
        offset = len(expected.observations) - len(
            one
        )  # observations begin at step 0, all else at step 1
        # NaN equals NaN here: two lanes that both return it do the same.
        unequal = (
            ((one != two) & ~((one != one) & (two != two))).reshape(*one.shape[:2], -1).any(axis=2)
        )
        unequal &= np.arange(offset, offset + len(one))[:, None] <= ends
        for row, lane in np.argwhere(unequal)[:1].tolist():
            what = f"{name}{_describe_unequal(one[row, lane], two[row, lane])}"
            places.append((row + offset, lane, f"lane {names[lane]}, step {row + offset}: {what}"))
    return min(places)[2] if places else None


def _describe_unequal(expected: Array, found: Array) -> str:
    """The first coordinate that differs, with all its digits: `[1] 0.25, not 0.5`."""
    if np.ndim(expected) == 0:
        return f" {found!s}, not {expected!s}"
    place = int(
        np.flatnonzero((expected != found) & ~((expected != expected) & (found != found)))[0]
    )
    return f"[{place}] {found[place]!s}, not {expected[place]!s}"
