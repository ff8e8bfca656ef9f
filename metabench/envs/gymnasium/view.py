"""One lane of a batched environment as a Gymnasium environment, for other people's loops."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np

from metabench.envs.batched import BatchedEnvironment, TaskParameters
from metabench.envs.lane_painter import LanePainter, has_pictures
from metabench.envs.spaces import Array, Spaces
from metabench.errors import MetabenchError

WIDTH, SIDE_HEIGHT = 480, 360
"""Pixels of a picture; one seen from above is a square."""


def observation_space(spaces: Spaces) -> gymnasium.spaces.Box:
    """The observations of `spaces`: `(observation_dim,)` float32 without bounds."""
    return gymnasium.spaces.Box(-np.inf, np.inf, (spaces.observation_dim,), np.float32)


def action_space(spaces: Spaces) -> gymnasium.spaces.Space[Any]:
    """The actions of `spaces`: a float32 box of its bounds, or `Discrete(num_actions)`."""
    if spaces.discrete:
        return gymnasium.spaces.Discrete(spaces.num_actions)
    return gymnasium.spaces.Box(
        np.asarray(spaces.action_low, np.float32),
        np.asarray(spaces.action_high, np.float32),
        dtype=np.float32,
    )


class GymnasiumView(gymnasium.Env[Array, Any]):
    """A thin view of one lane in one task; the numbers are those of the batched environment.

    `terminated` says that the task ended the episode, `truncated` that the horizon did. `info["success"]` is there
    where the family has a notion of success. `render` shows what MuJoCo renders where it can do so (EGL or OSMesa, no
    display), and else draws the lane flat, as reports do.

    A view can be copied and pickled in the midst of an episode where it knows how its environment is made: the copy
    acts the same actions from the same start, which leads to the same place.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012 (Gymnasium's own)

    def __init__(
        self,
        environment: BatchedEnvironment,
        parameters: TaskParameters,
        *,
        render_mode: str | None = None,
        time_limit: bool = True,
        make_again: Callable[[], BatchedEnvironment] | None = None,
    ) -> None:
        """View a lane of `environment`, which nothing else may step, in the task that `parameters` fix.

        Args:
            environment: the lane's.
            parameters: the task.
            render_mode: `rgb_array`, or None for no pictures.
            time_limit: whether `truncated` is set at the horizon; without it episodes go on until the task ends them.
            make_again: makes the same environment anew, for copies.

        Raises:
            MetabenchError: there is no such render mode, or the environment has no pictures.
        """
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise MetabenchError(
                f"render_mode {render_mode!r}: expected one of {self.metadata['render_modes']} or None"
            )
        if render_mode is not None and not has_pictures(environment):
            raise MetabenchError(
                f"render_mode {render_mode!r}: {type(environment).__name__} has no pictures; expected None"
            )
        self.render_mode = render_mode
        self.observation_space = observation_space(environment.spaces)
        self.action_space = action_space(environment.spaces)
        self._environment = environment
        self._parameters = parameters
        self._time_limit = time_limit
        self._make_again = make_again
        self._seed: int | None = None
        self._actions: list[Array] = []
        self._painter: LanePainter | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Start an episode; returns the first `(observation_dim,)` float32 observation and an empty info.

        Args:
            seed: seed of the reset noise of this and, through a stream of its own, of all later episodes.
            options: Gymnasium's options; there are none, `ValueError` if any is given.
        """
        if options:
            raise ValueError(
                f"reset options {sorted(options)} are not known; there are none: choose the task in make"
            )
        super().reset(seed=seed)
        self._seed = int(self.np_random.integers(2**63))
        self._actions = []
        if self._painter is not None:
            self._painter.begin()
        return self._environment.reset([self._parameters], [self._seed])[0].copy(), {}

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Step by `(action_dim,)` floats in bounds, or one integer.

        Raises:
            gymnasium.error.InvalidAction: it is of another shape or kind, out of bounds or not finite.
            gymnasium.error.ResetNeeded: no episode has begun.
        """
        if self._seed is None:
            raise gymnasium.error.ResetNeeded("step before reset: an episode begins with reset")
        taken = np.array(action)
        problem = self._environment.spaces.find_action_problem(taken)
        if problem is not None:
            raise gymnasium.error.InvalidAction(f"action: {problem}")
        self._actions.append(taken)
        step = self._environment.step(taken[None])
        info = {} if step.success is None else {"success": bool(step.success[0])}
        truncated = self._time_limit and len(self._actions) >= self._environment.spaces.horizon
        return (
            step.observation[0].copy(),
            float(step.reward[0]),
            bool(step.terminated[0]),
            truncated,
            info,
        )

    def render(self) -> Any:
        """The lane as `(height, width, 3)` uint8 pixels; None without a render mode.

        Raises:
            gymnasium.error.ResetNeeded: no episode has begun.
            MetabenchError: the environment shows nothing.
        """
        if self.render_mode is None:
            return None
        if self._seed is None:
            raise gymnasium.error.ResetNeeded("render before reset: an episode begins with reset")
        if self._painter is None:
            scene = self._environment.scene(0)
            square = scene is not None and scene.view == "above"
            height = WIDTH if square else SIDE_HEIGHT
            self._painter = LanePainter(self._environment, 0, WIDTH, height)
            picture = self._painter.paint()
            if self._painter.notice is not None:
                warnings.warn(self._painter.notice, stacklevel=2)
            return picture
        return self._painter.paint()

    def __reduce__(self) -> tuple[Any, ...]:
        """What a copy is made of; raises `MetabenchError` where nobody said how the environment is made."""
        if self._make_again is None:
            raise MetabenchError(
                "this view cannot be copied or pickled: its environment was made elsewhere; make another view"
            )
        made = (self._make_again, self._parameters, self.render_mode, self._time_limit)
        return _restore_view, (*made, self.spec, self._np_random, self._seed, self._actions)


def _restore_view(
    make_again: Callable[[], BatchedEnvironment],
    parameters: TaskParameters,
    render_mode: str | None,
    time_limit: bool,
    spec: Any,
    generator: np.random.Generator | None,
    seed: int | None,
    actions: Sequence[Array],
) -> GymnasiumView:
    """The view that `GymnasiumView.__reduce__` described, after the same actions."""
    view = GymnasiumView(
        make_again(),
        parameters,
        render_mode=render_mode,
        time_limit=time_limit,
        make_again=make_again,
    )
    view.spec, view._np_random, view._seed = spec, generator, seed
    if seed is not None:
        view._environment.reset([parameters], [seed])
        for action in actions:
            view._environment.step(action[None])
            view._actions.append(action)
    return view
