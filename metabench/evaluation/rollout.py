"""The rollout loop: all lanes at once, one policy call a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from metabench.envs import Array, BatchedEnvironment
from metabench.errors import SimulationError
from metabench.evaluation.guarded_policy import GuardedPolicy
from metabench.evaluation.protocol import Lane
from metabench.evaluation.rows import Row, round_return
from metabench.methods.contract import Episode, Step
from metabench.suites import Suite


@dataclass(frozen=True)
class Rollout:
    """What came of one episode in every lane.

    Attributes:
        rows: one a lane, sorted by task, support and episode.
        episodes: one a lane, in the order of the lanes; empty unless they were to be kept.
        steps: real environment steps in all lanes.
    """

    rows: tuple[Row, ...]
    episodes: tuple[Episode, ...]
    steps: int


def roll_out_policy(
    policy: GuardedPolicy,
    suite: Suite,
    environment: BatchedEnvironment,
    lanes: Sequence[Lane],
    reset_seeds: Sequence[int],
    policy_seeds: Sequence[int],
    support: Mapping[int, Sequence[Episode]],
    *,
    scored: bool,
    keep: bool = False,
    privileged: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Rollout:
    """Act one episode in every lane; quotas are fixed: an ended lane waits until all have ended.

    Args:
        policy: the policy behind its contract.
        suite: whose tasks the lanes name.
        environment: the suite's.
        lanes: one episode each, with the groups that the policy is told.
        reset_seeds: each lane's reset noise.
        policy_seeds: each lane's policy randomness.
        support: each group's support; if it is empty, `adapt` is not called.
        scored: what the policy is told of the episodes.
        keep: whether to return the episodes themselves.
        privileged: whether to reveal the lanes' tasks to the policy.
        progress: told (steps done, horizon).

    Raises:
        SimulationError: a lane's simulation diverged; names its task, lane and step.
    """
    spaces, count = suite.spaces, len(lanes)
    parameters = [suite.tasks[lane.task].parameters for lane in lanes]
    policy.reset([lane.group for lane in lanes], policy_seeds, parameters if privileged else None)
    if support:
        policy.adapt(support)
    observation = np.array(
        environment.reset(parameters, reset_seeds), np.float32
    )  # (lanes, observation_dim)
    previous_action = spaces.null_actions(count)  # (lanes, action_dim) or (lanes,)
    previous_reward = np.zeros(count, np.float32)  # (lanes,)
    history = _History(observation, keep)
    for timestep in range(spaces.horizon):
        # Copies throughout: a policy that writes to what it is shown changes nothing of the evaluation.
        step = Step(
            observation=observation.copy(),
            previous_action=previous_action.copy(),
            previous_reward=previous_reward.copy(),
            timestep=np.full(count, timestep, np.int64),
            active=history.active.copy(),
            scored=np.full(count, scored),
        )
        actions = policy.act(step, timestep)
        try:
            outcome = environment.step(actions.copy())
        except SimulationError as error:
            raise error.in_task(suite.name, lanes[error.lane].task) from error
        history.add(
            actions, outcome.observation, outcome.reward, outcome.terminated, outcome.success
        )
        # An ended lane keeps showing what the policy last acted on: its last transition is for `adapt` only.
        going = history.active
        observation[going] = outcome.observation[going]
        previous_action[going] = actions[going]
        previous_reward[going] = outcome.reward[going]
        if progress is not None:
            progress(timestep + 1, spaces.horizon)
        if not going.any():
            break
    return history.finish(lanes)


class _History:
    """What happened so far in all lanes."""

    def __init__(self, observation: Array, keep: bool) -> None:
        lanes = len(observation)
        self.active = np.ones(lanes, bool)
        self._returns = np.zeros(lanes)
        self._lengths = np.zeros(lanes, np.int64)
        self._terminated = np.zeros(lanes, bool)
        self._success_any = np.zeros(lanes, bool)
        self._success_last = np.zeros(lanes, bool)
        self._has_success = False  # until the environment tells any
        self._keep = keep
        self._observations: list[Array] = [observation.copy()]
        self._actions: list[Array] = []
        self._rewards: list[Array] = []

    def add(
        self,
        actions: Array,
        observation: Array,
        reward: Array,
        terminated: Array,
        success: Array | None,
    ) -> None:
        """Add one step of all lanes; only active ones count.

        Args:
            actions: `(lanes, action_dim)` or `(lanes,)`.
            observation: `(lanes, observation_dim)`, after the step.
            reward: `(lanes,)`.
            terminated: `(lanes,)` bool.
            success: `(lanes,)` bool, or None where the family has none.
        """
        active = self.active
        # Returns are summed in float64, step by step: the rewards that policies see are float32.
        self._returns[active] += np.asarray(reward, np.float64)[active]
        self._lengths[active] += 1
        if success is not None:
            self._has_success = True
            self._success_any |= active & success
            self._success_last = np.where(active, success, self._success_last)
        if self._keep:
            self._actions.append(actions.copy())
            self._rewards.append(np.asarray(reward, np.float32).copy())
            self._observations.append(np.asarray(observation, np.float32).copy())
        self._terminated |= active & terminated
        self.active = active & ~self._terminated

    def finish(self, lanes: Sequence[Lane]) -> Rollout:
        """Rows in the order of the lanes' names, episodes in the order of the lanes."""
        order = sorted(range(len(lanes)), key=lanes.__getitem__)
        return Rollout(
            rows=tuple(self._make_row(lanes[i], i) for i in order),
            episodes=self._cut_episodes() if self._keep else (),
            steps=int(self._lengths.sum()),
        )

    def _make_row(self, lane: Lane, i: int) -> Row:
        return Row(
            task=lane.task,
            support=lane.support,
            episode=lane.episode,
            total_return=round_return(float(self._returns[i])),
            length=int(self._lengths[i]),
            success_any=bool(self._success_any[i]) if self._has_success else None,
            success_last=bool(self._success_last[i]) if self._has_success else None,
        )

    def _cut_episodes(self) -> tuple[Episode, ...]:
        observations = np.stack(self._observations, 1)  # (lanes, steps + 1, observation_dim)
        actions = np.stack(self._actions, 1)  # (lanes, steps, action_dim) or (lanes, steps)
        rewards = np.stack(self._rewards, 1)  # (lanes, steps)
        return tuple(
            Episode(
                observations=observations[i, : length + 1].copy(),
                actions=actions[i, :length].copy(),
                rewards=rewards[i, :length].copy(),
                terminated=bool(self._terminated[i]),
                truncated=not self._terminated[i],
            )
            for i, length in enumerate(self._lengths.tolist())
        )
