"""What a teacher in training acts and learns from: groups of lanes out of phase, rolled out into one batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from metabench.envs import Array, BatchedEnvironment, TaskParameters, TeacherTraining
from metabench.seeding import derive_seed
from metabench.suites import Suite
from metabench.teachers.ppo import ActorCritic, Batch, TeacherConfig


class LaneGroup:
    """Lanes in step with each other: their environment, tasks and place in the episode.

    Attributes:
        features: `(lanes, features)` what the network reads now.
        active: `(lanes,)` bool: the lane's episode has not been ended by its task. All lanes begin anew together, when
            the horizon is reached or none is active any more: what a lane does in between is not learned from.
        finished: returns of whole episodes in the suite's own tasks.
    """

    features: Array
    active: Array

    def __init__(
        self,
        suite: Suite,
        training: TeacherTraining,
        config: TeacherConfig,
        lanes: int,
        elapsed: int,
        name: int,
    ) -> None:
        """Begin an episode that counts as `elapsed` steps old; `name` tells the group's seeds from others'."""
        self._suite, self._training, self._config = suite, training, config
        self._lanes, self._name = lanes, name
        self._tasks = suite.split("train") if config.blind else suite.tasks
        self._environment: BatchedEnvironment = suite.environment()
        self._episodes, self._elapsed = 0, elapsed
        self.finished: list[float] = []
        self._begin()

    def step(self, actions: Array) -> tuple[Array, Array, Array | None]:
        """Act once in every lane.

        Args:
            actions: as the network draws them, `(lanes, action_dim)`, or `(lanes,)` integers.

        Returns:
            `(lanes,)` rewards; `(lanes,)` whether the task has ended the episode now; and, if all lanes begin anew, the
            last features of their episodes.
        """
        step = self._environment.step(self._training.to_environment(actions, self.parameters))
        ended = self.active & step.terminated
        self._returns[self.active] += step.reward[self.active]
        self._elapsed += 1
        self.features = self._training.make_features(
            step.observation.astype(np.float64), self.parameters
        )
        self.active = self.active & ~ended
        rewards = step.reward / self._scales
        if self._elapsed < self._suite.entry.horizon and self.active.any():
            return rewards, ended, None
        last = self.features
        if self._episodes > 1:  # the first is cut, to bring the groups out of phase
            self.finished += self._returns[self._in_suite].tolist()
        self._elapsed = 0
        self._begin()
        return rewards, ended, last

    def _begin(self) -> None:
        """Start an episode a lane: in a task of the suite or, in a share of the lanes, in one drawn for it."""
        generator = np.random.default_rng(
            derive_seed("teacher", self._config.seed, self._name, self._episodes)
        )
        in_suite = generator.random(self._lanes) < (
            1.0 if self._config.blind else self._config.suite_tasks
        )
        self.parameters: list[TaskParameters] = []
        scales = []
        for own in in_suite:
            if own:
                task = self._tasks[int(generator.integers(len(self._tasks)))]
                self.parameters.append(task.parameters)
                scales.append(task.reference.expert - task.reference.random)
            else:
                self.parameters.append(self._training.draw_task(generator))
                scales.append(1.0)
        # A policy that cannot please all tasks must not prefer those whose rewards are large.
        self._scales = np.array(scales) if self._config.blind else np.ones(self._lanes)
        self._in_suite, self._returns = in_suite, np.zeros(self._lanes)
        self.active = np.ones(self._lanes, bool)
        observation = self._environment.reset(
            self.parameters, generator.integers(2**62, size=self._lanes).tolist()
        )
        self.features = self._training.make_features(
            observation.astype(np.float64), self.parameters
        )
        self._episodes += 1


class RunningMoments:
    """Running mean and variance of everything seen."""

    def __init__(self, size: int) -> None:
        """Begin with mean 0 and variance 1, which the first values outweigh at once."""
        self.count, self.mean, self.variance = 1e-4, np.zeros(size), np.ones(size)

    def begin_with(self, mean: Array, deviation: Array, count: float) -> None:
        """Count these as what so many values had, so that the first ones do not move them far."""
        self.count, self.mean, self.variance = count, mean.copy(), (deviation - 1e-2) ** 2

    def add(self, values: Array) -> None:
        """Take `(n, size)` values in: two sets' moments combine without looking at their values again."""
        mean, variance, count = values.mean(axis=0), values.var(axis=0), len(values)
        total = self.count + count
        gap = mean - self.mean
        moment = self.variance * self.count + variance * count + gap**2 * self.count * count / total
        self.mean, self.variance, self.count = (
            self.mean + gap * count / total,
            moment / total,
            total,
        )

    @property
    def deviation(self) -> Array:
        """Standard deviation, never near zero: it is divided by."""
        return np.asarray(np.sqrt(self.variance) + 1e-2)


class ExperienceCollector:
    """Rolls a network out in all groups, again and again; normalisers keep running from batch to batch."""

    def __init__(
        self,
        network: ActorCritic,
        groups: Sequence[LaneGroup],
        config: TeacherConfig,
        generator: np.random.Generator,
    ) -> None:
        """Keep who acts, where, and the randomness of its actions."""
        self._network, self._groups, self._config, self._generator = (
            network,
            groups,
            config,
            generator,
        )
        self._lanes = config.lanes // len(groups)
        self.feature_moments = RunningMoments(len(network.mean))
        self._return_moments = RunningMoments(1)
        self._discounted = [np.zeros(self._lanes) for _ in groups]

    @torch.no_grad()
    def collect_batch(self) -> Batch:
        """Act `config.rollout` steps in every lane; T steps of L lanes make a batch of T * L."""
        network, config = self._network, self._config
        shape = (config.rollout, len(self._groups) * self._lanes)  # (T, L)
        features = np.zeros((*shape, len(network.mean)))
        rewards, ends = np.zeros(shape), np.zeros(shape, bool)
        values, after_end = (
            np.zeros((config.rollout + 1, shape[1])),
            np.zeros(shape),
        )  # (T + 1, L), (T, L)
        active = np.zeros(shape, bool)
        means = np.zeros((*shape, network.action_dim))
        actions = np.zeros(shape, np.int64) if network.discrete else np.zeros_like(means)
        log_probability = np.zeros(shape)
        for t in range(config.rollout):
            features[t] = np.concatenate([group.features for group in self._groups])
            inputs = network.normalise(features[t])
            means[t], values[t] = (
                network.actor(inputs).numpy(),
                network.critic(inputs)[:, 0].numpy(),
            )
            actions[t], log_probability[t] = network.distribution.draw(
                means[t], network.log_deviation, self._generator
            )
            active[t] = np.concatenate([group.active for group in self._groups])
            for index, group in enumerate(self._groups):
                part = slice(index * self._lanes, (index + 1) * self._lanes)
                rewards[t, part], ended, last = group.step(actions[t, part])
                self._discounted[index] = (
                    config.discount * self._discounted[index] + rewards[t, part]
                )
                self._return_moments.add(self._discounted[index][active[t, part]][:, None])
                ends[t, part] = ended  # nothing comes after an end by the task: its value stays 0
                if last is not None:
                    # The horizon is not an end of the task: bootstrap from the value there.
                    ends[t, part] = True
                    values_there = network.critic(network.normalise(last))[:, 0].numpy()
                    after_end[t, part] = np.where(ended, 0.0, values_there)
                    self._discounted[index] = np.zeros(self._lanes)
        following = network.normalise(np.concatenate([group.features for group in self._groups]))
        values[-1] = network.critic(following)[:, 0].numpy()
        # Rewards in units of the discounted return's deviation: the critic's targets are then of size one in any suite.
        rewards = rewards / float(self._return_moments.deviation[0])
        advantages = _estimate_advantages(rewards, values, ends, after_end, config)
        # Steps after an end by the task, while other lanes go on, are nobody's.
        flat = features[active]
        inputs = network.normalise(flat)  # as they were acted with: the moments change afterwards
        self.feature_moments.add(flat)
        return Batch(
            inputs=inputs,
            actions=_to_tensor(actions[active]),
            means=_to_tensor(means[active]),
            log_probability=_to_tensor(log_probability[active]),
            advantage=_to_tensor(advantages[active]),
            target=_to_tensor((advantages + values[:-1])[active]),
            log_deviation=network.log_deviation.detach().clone(),
        )


def _estimate_advantages(
    rewards: Array, values: Array, ends: Array, after_end: Array, config: TeacherConfig
) -> Array:
    """`(T, L)` generalised advantage estimates (Schulman et al., 2016), from the last step backwards."""
    advantages, running = np.zeros(rewards.shape), np.zeros(rewards.shape[1])
    for t in reversed(range(len(rewards))):
        following = np.where(ends[t], after_end[t], values[t + 1])
        error = rewards[t] + config.discount * following - values[t]
        running = error + config.discount * config.trace * np.where(ends[t], 0.0, running)
        advantages[t] = running
    return advantages


def _to_tensor(values: Array) -> torch.Tensor:
    return torch.as_tensor(values, dtype=torch.float32)
