"""Scripted lanes: fixed observations and rewards, whatever a policy does, so that its actions can be compared."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from metabench.data.training_data import TrainingData
from metabench.envs import Array, Spaces, TaskParameters
from metabench.evaluation.guarded_policy import GuardedPolicy
from metabench.evaluation.logged_supports import load_logged_supports
from metabench.evaluation.protocol import SPLITS
from metabench.methods.contract import Episode, Policy, Step
from metabench.seeding import derive_seed
from metabench.suites import Suite

SHOTS = 3
"""Support episodes that a script has for every group."""

LANES_PER_GROUP = 2


@dataclass(frozen=True)
class Script:
    """What L lanes see in T steps.

    Attributes:
        groups: `(L,)` group of each lane.
        seeds: `(L,)` seed of each lane.
        tasks: `(L,)` parameters of each lane's task, for privileged policies.
        support: each group's support episodes; may be empty.
        observations: `(T, L, observation_dim)` float32.
        rewards: `(T, L)` float32: the reward of the step before, zero at the start.
        active: `(T, L)` bool.
    """

    groups: tuple[int, ...]
    seeds: tuple[int, ...]
    tasks: tuple[TaskParameters, ...]
    support: Mapping[int, Sequence[Episode]]
    observations: Array
    rewards: Array
    active: Array

    def with_shots(self, shots: int) -> Script:
        """The same lanes with the first `shots` support episodes of each group."""
        support = (
            {group: episodes[:shots] for group, episodes in self.support.items()} if shots else {}
        )
        return dataclasses.replace(self, support=support)

    def select_lanes(self, chosen: Sequence[int]) -> Script:
        """The chosen lanes only, in that order, with their groups' support."""
        groups = tuple(self.groups[lane] for lane in chosen)
        return Script(
            groups=groups,
            seeds=tuple(self.seeds[lane] for lane in chosen),
            tasks=tuple(self.tasks[lane] for lane in chosen),
            support={
                group: self.support[group]
                for group in dict.fromkeys(groups)
                if group in self.support
            },
            observations=self.observations[:, chosen],
            rewards=self.rewards[:, chosen],
            active=self.active[:, chosen],
        )

    def rename_groups(self) -> Script:
        """The same lanes, their groups under other numbers and the support in the opposite order."""
        names = {group: 1000 - 7 * group for group in self.groups}
        support = {names[group]: self.support[group] for group in reversed(list(self.support))}
        return dataclasses.replace(
            self, groups=tuple(names[group] for group in self.groups), support=support
        )

    def with_noise_in_ended_lanes(self) -> Script:
        """The same lanes, but ended ones see other observations and rewards."""
        ended = ~self.active
        return dataclasses.replace(
            self,
            observations=np.where(
                ended[..., None], 3.0 - self.observations, self.observations
            ).astype(np.float32),
            rewards=np.where(ended, -5.0, self.rewards).astype(np.float32),
        )


def script_logged_lanes(suite: Suite, data: TrainingData) -> Script:
    """Lanes in the suite's held-out tasks, two a group, that see logged episodes of the training tasks.

    Half of the lanes end early, each at another step.
    """
    supports = {
        key: episodes
        for split in SPLITS
        if split in suite.splits
        for key, episodes in load_logged_supports(suite, split, SHOTS).items()
    }
    lanes = [
        (group, task) for _ in range(LANES_PER_GROUP) for group, (task, _) in enumerate(supports)
    ]
    horizon, count = suite.spaces.horizon, len(lanes)
    observations = np.zeros((horizon, count, suite.spaces.observation_dim), np.float32)
    rewards = np.zeros((horizon, count), np.float32)
    active = np.zeros((horizon, count), bool)
    columns = data.columns
    for lane in range(count):
        episode = lane * data.num_episodes // count
        start = int(columns.offsets[episode])
        length = int(data.lengths[episode])
        if lane % 2:
            length = max(1, length - lane)
        steps = np.minimum(np.arange(horizon), length - 1)
        observations[:, lane] = columns.observations[start + episode + steps]
        rewards[1:, lane] = columns.rewards[start + steps[1:] - 1]
        active[:length, lane] = True
    return Script(
        groups=tuple(group for group, _ in lanes),
        seeds=tuple(derive_seed("script", lane) for lane in range(count)),
        tasks=tuple(suite.tasks[task].parameters for _, task in lanes),
        support=dict(enumerate(supports.values())),
        observations=observations,
        rewards=rewards,
        active=active,
    )


def act_script(
    policy: Policy, script: Script, spaces: Spaces, name: str, privileged: bool
) -> Array:
    """The policy's actions in all lanes, `(T, L, action_dim)` features as networks read them; null in ended lanes.

    Raises:
        MethodError: the policy raised, or returned a wrong type, shape or number; names method, lane and step.
    """
    guarded = GuardedPolicy(policy, name, spaces)
    guarded.reset(script.groups, script.seeds, script.tasks if privileged else None)
    if script.support:
        guarded.adapt(script.support)
    count = len(script.groups)
    previous = spaces.null_actions(count)
    played = [previous] * len(script.observations)
    for timestep in range(len(script.observations)):
        active = script.active[timestep]
        if not active.any():
            break
        step = Step(
            observation=script.observations[timestep].copy(),
            previous_action=previous.copy(),
            previous_reward=script.rewards[timestep].copy(),
            timestep=np.full(count, timestep, np.int64),
            active=active.copy(),
            scored=np.ones(count, bool),
        )
        actions = guarded.act(step, timestep)
        played[timestep] = actions
        previous = np.where(active.reshape((-1,) + (1,) * (actions.ndim - 1)), actions, previous)
    return spaces.action_features(np.stack(played))


def compare_actions(expected: Array, found: Array, tolerance: float) -> str | None:
    """Where two results of `act_script` differ by more than `tolerance`, in one line; None where they are equal."""
    apart = np.abs(expected.astype(np.float64) - found).max(axis=-1)  # (T, L)
    if not (apart > tolerance).any():
        return None
    step, lane = np.argwhere(apart > tolerance)[0]
    place = int(np.abs(expected[step, lane].astype(np.float64) - found[step, lane]).argmax())
    one, other = float(expected[step, lane, place]), float(found[step, lane, place])
    allowed = f", expected at most {tolerance:g}" if tolerance else ""
    return (
        f"lane {lane}, step {step}: actions differ by {apart[step, lane]:.3g}, {one:.7g} and {other:.7g} (scaled to "
        f"[-1, 1]){allowed}"
    )
