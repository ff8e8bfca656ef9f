"""A policy behind its contract: what it may see is copied, what it returns is checked, what it raises is named."""

from __future__ import annotations

import copy
import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from metabench.envs import Array, Spaces
from metabench.errors import MethodError, PolicyProcessError
from metabench.methods.contract import Episode, Policy, Prediction, Step
from metabench.system.foreign import name_raised

TOLERANCE = 1e-6
"""Actions out of bounds by no more than this are clipped, by more they are errors."""


class GuardedPolicy:
    """Calls a policy, and counts and times the calls.

    Attributes:
        name: what errors call it.
        seconds_acting: spent in `Policy.act`.
        seconds_adapting: spent in `Policy.adapt`.
        act_calls: calls of `Policy.act`, each for all lanes.
        adapt_calls: calls of `Policy.adapt`.
        seconds_predicting: spent in `Policy.predict`.
        predict_calls: calls of `Policy.predict`, each for all lanes.
    """

    def __init__(self, policy: Policy, name: str, spaces: Spaces) -> None:
        """Guard `policy`; errors call it `name`."""
        self._policy = policy
        self.name = name
        self._spaces = spaces
        self._low, self._high = np.asarray(spaces.action_low), np.asarray(spaces.action_high)
        self.seconds_acting = 0.0
        self.seconds_adapting = 0.0
        self.act_calls = 0
        self.adapt_calls = 0
        self.seconds_predicting = 0.0
        self.predict_calls = 0

    @property
    def predicts(self) -> bool:
        """Whether the policy has a world model to be asked.

        Raises:
            MethodError: it raised when it was asked that.
        """
        try:
            return bool(self._policy.predicts)
        except (Exception, SystemExit) as error:
            raise self._make_error("predicts", error) from error

    def reset(
        self,
        groups: Sequence[int],
        seeds: Sequence[int],
        revealed: Sequence[Mapping[str, Any]] | None,
    ) -> None:
        """Start one episode a lane.

        Args:
            groups: one a lane.
            seeds: one a lane.
            revealed: the task parameters of each lane, for privileged policies; None for all others.

        Raises:
            MethodError: the policy raised.
        """
        try:
            self._policy.reset(list(groups), list(seeds))
        except (Exception, SystemExit) as error:
            raise self._make_error("reset", error) from error
        if revealed is not None:
            try:
                self._policy.reveal([copy.deepcopy(dict(task)) for task in revealed])
            except (Exception, SystemExit) as error:
                raise self._make_error("reveal", error) from error

    def adapt(self, support: Mapping[int, Sequence[Episode]]) -> None:
        """Hand over copies of the support; copying them is not counted as the policy's time."""
        given = {
            group: [_copy_episode(episode) for episode in episodes]
            for group, episodes in support.items()
        }
        start = time.perf_counter()
        try:
            self._policy.adapt(given)
        except (Exception, SystemExit) as error:
            raise self._make_error("adapt", error) from error
        self.seconds_adapting += time.perf_counter() - start
        self.adapt_calls += 1

    def act(self, step: Step, timestep: int) -> Array:
        """Actions that the simulator can take: `(lanes, action_dim)` float32 in bounds, or `(lanes,)` int64.

        Inactive lanes get null actions, whatever the policy chose for them.

        Raises:
            MethodError: the policy raised, or returned a wrong type, shape or number; names method, lane and step.
        """
        active = step.active.copy()  # the policy gets `step` itself, and could write to it
        start = time.perf_counter()
        try:
            chosen = self._policy.act(step)
        except (Exception, SystemExit) as error:
            raise self._make_error(f"act at step {timestep}", error) from error
        self.seconds_acting += time.perf_counter() - start
        self.act_calls += 1
        return self._check_actions(chosen, active, timestep)

    def predict(self, prefix: Sequence[Episode], actions: Array) -> Prediction:
        """What the policy says of `(lanes, h, ...)` actions after these prefixes, all arrays float64.

        Raises:
            MethodError: it raised, or returned a wrong type, shape or number; names method, lane and step.
        """
        given = [_copy_episode(episode) for episode in prefix]
        start = time.perf_counter()
        try:
            said = self._policy.predict(given, actions.copy())
        except (Exception, SystemExit) as error:
            raise self._make_error("predict", error) from error
        self.seconds_predicting += time.perf_counter() - start
        self.predict_calls += 1
        problem = find_prediction_problem(said, len(actions), actions.shape[1], self._spaces)
        if problem is not None:
            raise MethodError(f"method {self.name!r}: {problem}")
        checked = {
            name: self._check_numbers(name, getattr(said, name))
            for name in PREDICTED
            if getattr(said, name) is not None
        }
        return Prediction(**checked)

    def _check_numbers(self, what: str, said: Array) -> Array:
        """`(lanes, h, ...)` numbers as float64; raises `MethodError` naming the first that cannot be."""
        values = np.array(said, np.float64)
        low, high, expected = _EXPECTED_NUMBERS.get(what, (-np.inf, np.inf, "a finite number"))
        with np.errstate(invalid="ignore"):  # NaN compares false, and is wrong
            fits = np.isfinite(values) & (values >= low) & (values <= high)
        wrong = ~fits.reshape(*values.shape[:2], -1).all(axis=2)  # (lanes, h)
        if wrong.any():
            lane, step = (int(place) for place in np.argwhere(wrong)[0])
            found = values[lane, step][~fits[lane, step]].flat[0]
            raise MethodError(
                f"method {self.name!r}, lane {lane}, step {step + 1}: predict: {what}: expected {expected}, "
                f"found {found:g}"
            )
        return values

    def _check_actions(self, chosen: Any, active: Array, timestep: int) -> Array:
        lanes, spaces = len(active), self._spaces
        malformed = find_form_problem(chosen, lanes, spaces)
        if malformed is not None:
            raise MethodError(f"method {self.name!r}, step {timestep}: {malformed}")
        values = chosen.reshape(
            lanes, -1
        )  # (lanes, action_dim), or (lanes, 1) for discrete actions
        if spaces.discrete:
            low, high = np.zeros(1), np.full(1, spaces.num_actions - 1)
        else:
            low, high = self._low - TOLERANCE, self._high + TOLERANCE
        # Negated, so that NaN, which compares false with everything, is wrong as well.
        wrong = active & ~((values >= low) & (values <= high)).all(axis=1)  # (lanes,)
        if wrong.any():
            lane = int(np.flatnonzero(wrong)[0])
            action = values[lane].tolist()
            if not np.isfinite(values[lane]).all():
                problem = f"action {action} is not finite"
            elif spaces.discrete:
                problem = f"action {action[0]} is not in 0 to {spaces.num_actions - 1}"
            else:
                problem = f"action {action} is out of bounds {list(spaces.action_low)} to {list(spaces.action_high)}"
            raise MethodError(f"method {self.name!r}, lane {lane}, step {timestep}: {problem}")
        if spaces.discrete:
            return np.where(active, chosen, 0).astype(np.int64)
        finite = np.where(active[:, None], chosen, 0.0).astype(np.float32)
        # Clipped after rounding to float32, which could carry an action beyond its bound again.
        return np.clip(finite, self._low.astype(np.float32), self._high.astype(np.float32))

    def _make_error(self, call: str, error: BaseException) -> MethodError:
        what = (
            str(error) if isinstance(error, PolicyProcessError) else f"raised {name_raised(error)}"
        )
        return MethodError(f"method {self.name!r}: {call} {what}")


def find_form_problem(chosen: Any, lanes: int, spaces: Spaces) -> str | None:
    """What is wrong with the type or shape of what `Policy.act` returned for so many lanes; None if nothing is."""
    if not isinstance(chosen, np.ndarray):
        return f"act must return a NumPy array, not {type(chosen).__name__}"
    kinds, noun = ("iu", "integers") if spaces.discrete else ("f", "floats")
    if chosen.dtype.kind not in kinds:
        return f"act must return {noun}, not {chosen.dtype}"
    shape = (lanes,) if spaces.discrete else (lanes, spaces.action_dim)
    if chosen.shape != shape:
        return f"act must return shape {shape}, not {chosen.shape}"
    return None


PREDICTED = tuple(field.name for field in dataclasses.fields(Prediction))
"""The arrays of a prediction."""

_EXPECTED_NUMBERS = {
    "ends": (0.0, 1.0, "a probability"),
    "observation_deviations": (0.0, np.inf, "a finite number of 0 or more"),
    "reward_deviations": (0.0, np.inf, "a finite number of 0 or more"),
}


def find_prediction_problem(said: Any, lanes: int, steps: int, spaces: Spaces) -> str | None:
    """What is wrong with the types or shapes of what `Policy.predict` returned; None if nothing is."""
    if not isinstance(said, Prediction):
        return f"predict must return a Prediction, not {type(said).__name__}"
    for name in PREDICTED:
        values = getattr(said, name)
        if values is None and name.endswith("deviations"):
            continue
        if not isinstance(values, np.ndarray):
            return f"predict must return {name} as a NumPy array, not {type(values).__name__}"
        if values.dtype.kind not in ("fb" if name == "ends" else "f"):
            return f"predict must return {name} as floats, not {values.dtype}"
        wide = (spaces.observation_dim,) if name.startswith("observation") else ()
        shape = (lanes, steps, *wide)
        if values.shape != shape:
            if values.ndim == len(shape) and values.shape[1] < steps:
                return f"predict must return {name} of {steps} steps, not {values.shape[1]}"
            return f"predict must return {name} of shape {shape}, not {values.shape}"
    return None


def _copy_episode(episode: Episode) -> Episode:
    return Episode(
        episode.observations.copy(),
        episode.actions.copy(),
        episode.rewards.copy(),
        episode.terminated,
        episode.truncated,
    )
