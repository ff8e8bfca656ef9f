"""Blind policies of Meta-World: fixed scripts that know where goals lie in the training tasks, and nothing of theirs.

PPO learns little here in any time, so that a trained network would make the task seem worth more than it is. A script
goes to places one after another, each for an equal part of the episode: with the fingertips, or as the scripted policy
of an environment does that is told the place as its goal. Places are the mean of the training goals, or a grid over
their box.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import Field, ValidationError

from metabench.envs.batched import TaskParameters
from metabench.envs.blind import BlindPolicy
from metabench.envs.metaworld.environments import RANGES
from metabench.envs.metaworld.task import ACTION_DIM, task_key
from metabench.envs.metaworld.teacher import find_goals
from metabench.envs.spaces import Array
from metabench.errors import UnknownNameError, first_problem
from metabench.system.strict_model import StrictModel

SPACING = 0.06
"""Metres between the places of a grid, at most: whoever is at one of them is within 5 cm, success in most
environments, of all around it."""

GAIN = 20.0
"""Action for each metre to go: full speed, 1 cm a step, until 5 cm before the place."""


FINGERTIPS = (0.0, 0.0, -0.045)
"""From the hand, as observations have it, to the point between its fingertips, which success is judged by."""


class BlindScript(StrictModel):
    """What `references/blind.json` holds."""

    script: str = Field(description="its name among the scripts that were tried")
    environment: str | None = Field(
        description="whose scripted policy acts, told the places; null: the fingertips go there"
    )
    places: tuple[tuple[float, float, float], ...] = Field(
        description="metres; gone to in turn, each for an equal part of the episode; none: sit still"
    )


def propose_scripts(training: Sequence[TaskParameters], horizon: int) -> dict[str, dict[str, Any]]:
    """The scripts worth trying, from the goals of the training tasks alone."""
    del horizon
    goals = find_goals(training)
    of_tasks = [(task["environment"], goals[task_key(task)]) for task in training]
    everywhere = np.array([goal for _, goal in of_tasks])  # (tasks, 3)
    found = [BlindScript(script="sit still", environment=None, places=())]
    found += _visit_places("fingertips", None, everywhere)
    for name in dict.fromkeys(name for name, _ in of_tasks):
        own = np.array([goal for other, goal in of_tasks if other == name])
        found += _visit_places(f"scripted policy of {name}", name, own)
    return {each.script: each.model_dump(mode="json") for each in found}


def load_script(content: Mapping[str, Any], horizon: int) -> BlindPolicy:
    """The policy that plays a script; raises `ValueError` with one line if `content` is none."""
    try:
        script = BlindScript.model_validate(content)
    except ValidationError as error:
        raise ValueError(first_problem(error)) from error
    if script.environment is None:
        return HandScript(script, horizon)
    if script.environment not in RANGES:
        raise ValueError(
            str(UnknownNameError("environment of Meta-World", script.environment, RANGES))
        )
    if not script.places:
        raise ValueError("places: expected at least one for a scripted policy, found none")
    return ToldScript(script, horizon)


def _visit_places(who: str, environment: str | None, goals: Array) -> list[BlindScript]:
    grid = _lay_grid(goals.min(axis=0), goals.max(axis=0))
    visits = {"at the mean goal": [goals.mean(axis=0).tolist()], "through the goals' box": grid}
    return [
        BlindScript.model_validate(
            {"script": f"{who} {how}", "environment": environment, "places": places}
        )
        for how, places in visits.items()
    ]


def _lay_grid(low: Array, high: Array) -> list[list[float]]:
    """Centres of equal cells of at most `SPACING`, in an order in which each is beside the one before."""
    counts = np.maximum(1, np.ceil((high - low) / SPACING - 1e-9)).astype(int)
    axes = [
        low[axis] + (np.arange(count) + 0.5) * (high[axis] - low[axis]) / count
        for axis, count in enumerate(counts)
    ]
    places: list[list[float]] = []
    for i, j in itertools.product(range(counts[0]), range(counts[1])):
        row = range(counts[1])[:: 1 if i % 2 == 0 else -1]
        column = range(counts[2])[:: 1 if len(places) // counts[2] % 2 == 0 else -1]
        places += [[float(axes[0][i]), float(axes[1][row[j]]), float(axes[2][k])] for k in column]
    return places


class _PlacesInTurn(BlindPolicy):
    """Counts steps, to know which place it is the turn of."""

    def __init__(self, script: BlindScript, horizon: int) -> None:
        self._places, self._horizon = np.array(script.places), horizon

    def reset(self, seeds: Sequence[int]) -> None:
        """Begin with the first place; nothing is random."""
        self._timestep = 0

    def _find_place(self) -> Array:
        """`(3,)` where to go now; then it is a step later."""
        turn = self._timestep * len(self._places) // self._horizon
        self._timestep += 1
        return np.asarray(self._places[min(turn, len(self._places) - 1)])


class HandScript(_PlacesInTurn):
    """The fingertips go to the places and stay at the last; the hand sits still if there is none."""

    def act(self, observation: Array) -> Array:
        """`(lanes, 4)` float64: towards the place, the gripper at rest."""
        actions = np.zeros((len(observation), ACTION_DIM))
        if len(self._places):
            hand = np.asarray(observation, np.float64)[:, :3]
            away = self._find_place() - (hand + np.array(FINGERTIPS))
            actions[:, :3] = np.clip(GAIN * away, -1.0, 1.0)
        return actions


class ToldScript(_PlacesInTurn):
    """An environment's scripted policy, which sees the observation and is told a place as the goal."""

    def __init__(self, script: BlindScript, horizon: int) -> None:
        """Keep whose policy it is."""
        super().__init__(script, horizon)
        self._environment = script.environment

    def reset(self, seeds: Sequence[int]) -> None:
        """Begin with the first place. Meta-World's policies remember nothing: one is enough for all lanes."""
        from metaworld.policies import ENV_POLICY_MAP

        super().reset(seeds)
        self._policy = ENV_POLICY_MAP[self._environment]()

    def act(self, observation: Array) -> Array:
        """`(lanes, 4)` float64: the scripted action, clipped."""
        seen = np.asarray(observation, np.float64).copy()
        seen[:, -3:] = self._find_place()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that actions are out of bounds: they are clipped
            actions = [self._policy.get_action(row) for row in seen]
        return np.clip(np.array(actions, np.float64), -1.0, 1.0)
