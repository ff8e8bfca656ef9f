"""One lane of a batched environment as a Gymnasium environment, for other people's loops."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from metabench.envs.batched import BatchedEnvironment, TaskParameters
from metabench.envs.spaces import Array, Spaces


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
    where the family has a notion of success.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 (Gymnasium declares it as an instance attribute)
    render_mode: str | None = None

    def __init__(self, environment: BatchedEnvironment, parameters: TaskParameters) -> None:
        """View a lane of `environment`, which nothing else may step, in the task that `parameters` fix."""
        self.observation_space = observation_space(environment.spaces)
        self.action_space = action_space(environment.spaces)
        self._environment = environment
        self._parameters = parameters
        self._timestep = 0

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
        self._timestep = 0
        observation = self._environment.reset(
            [self._parameters], [int(self.np_random.integers(2**63))]
        )
        return observation[0].copy(), {}

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Step by `(action_dim,)` floats in bounds, or one integer."""
        step = self._environment.step(np.asarray(action)[None])
        self._timestep += 1
        info = {} if step.success is None else {"success": bool(step.success[0])}
        truncated = self._timestep >= self._environment.spaces.horizon
        return (
            step.observation[0].copy(),
            float(step.reward[0]),
            bool(step.terminated[0]),
            truncated,
            info,
        )
