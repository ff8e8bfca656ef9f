"""Training a suite's teacher: PPO on the simulator, one task-conditioned network for all tasks of the family.

This is the one place where metabench learns online. What it makes, small weight files, is what data is made from.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from metabench.envs import Array, BatchedEnvironment, TaskParameters
from metabench.envs.locomotion.families import LocomotionFamily
from metabench.errors import MetabenchError
from metabench.seeding import derived_seed
from metabench.suites import Suite
from metabench.teachers.ppo import ActorCritic, Batch, TeacherConfig, update_policy
from metabench.teachers.select import checkpoint_paths


class _Group:
    """Lanes in step with each other: their environment, tasks and place in the episode."""

    def __init__(self, suite: Suite, config: TeacherConfig, lanes: int, elapsed: int, name: int) -> None:
        self.family = _trainable(suite)
        self._suite, self._config, self._lanes, self._name = suite, config, lanes, name
        self._environment: BatchedEnvironment = suite.environment()
        self._episodes, self._elapsed = 0, elapsed
        self.finished: list[float] = []
        self._begin()

    def _begin(self) -> None:
        generator = np.random.default_rng(derived_seed("teacher", self._config.seed, self._name, self._episodes))
        tasks = self._suite.tasks
        own = generator.random(self._lanes) < self._config.suite_tasks
        self.parameters: list[TaskParameters] = [
            tasks[int(generator.integers(len(tasks)))].parameters if mine else self.family.draw(generator)
            for mine in own
        ]
        self._own, self._returns = own, np.zeros(self._lanes)
        observation = self._environment.reset(self.parameters, generator.integers(2**62, size=self._lanes).tolist())
        self.features = self.family.teacher_features(observation.astype(np.float64), self.parameters)
        self._episodes += 1

    def step(self, actions: Array) -> tuple[Array, Array | None]:
        """Rewards, and the last features of the episodes if the horizon ended them."""
        step = self._environment.step(np.clip(actions, -1.0, 1.0))
        self._returns += step.reward
        self._elapsed += 1
        self.features = self.family.teacher_features(step.observation.astype(np.float64), self.parameters)
        if self._elapsed < self._suite.entry.horizon:
            return step.reward, None
        last = self.features
        if self._episodes > 1:  # the first is cut, to bring the groups out of phase
            self.finished += self._returns[self._own].tolist()
        self._elapsed = 0
        self._begin()
        return step.reward, last


@contextmanager
def _one_torch_thread() -> Iterator[None]:
    """Sums in several threads round differently; the number of threads is put back afterwards."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@_one_torch_thread()
def train_teacher(
    suite: Suite, config: TeacherConfig, folder: Path, progress: Callable[[dict[str, float]], None] | None = None
) -> None:
    """Train with PPO; write `folder/curve.csv` and `folder/STEPS.safetensors` every so many steps.

    `install_behaviours` makes a teacher of checkpoints. The result depends on suite and config only, not on the number
    of cores. Training stops with the steps; a run that was cut off is started again from its beginning, in an empty
    folder.

    Raises:
        MetabenchError: the suite's family has no network teacher, or the folder holds checkpoints.
    """
    from safetensors.numpy import save_file

    family = _trainable(suite)
    if checkpoint_paths(folder):
        raise MetabenchError(f"{folder}: expected no checkpoints before training, found those of an earlier one")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(config.model_dump_json(indent=1) + "\n", encoding="utf-8")
    torch.manual_seed(config.seed)
    network = ActorCritic(family.feature_dim, family.action_dim, config.width, config.deviation)
    optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate, eps=1e-5)
    phases = 4
    horizon = suite.entry.horizon
    groups = [
        _Group(suite, config, config.lanes // phases, phase * horizon // phases, phase) for phase in range(phases)
    ]
    generator = np.random.default_rng(derived_seed("teacher", config.seed, "actions"))
    statistics = _Running(family.feature_dim)
    returns = _Running(1)
    discounted = [np.zeros(config.lanes // phases) for _ in groups]
    started, steps, saved = time.monotonic(), 0, 0
    with (folder / "curve.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["steps", "seconds", "mean_return", "learning_rate", "divergence", "deviation"])
        while steps < config.steps:
            batch = _collect(network, groups, config, generator, statistics, returns, discounted)
            steps += config.lanes // phases * phases * config.rollout
            divergence = update_policy(network, optimizer, batch, config, generator, steps / config.steps)
            network.mean.copy_(torch.as_tensor(statistics.mean))
            network.deviation.copy_(torch.as_tensor(statistics.deviation))
            finished = [value for group in groups for value in group.finished]
            if finished:
                row = {
                    "steps": float(steps),
                    "seconds": time.monotonic() - started,
                    "mean_return": float(np.mean(finished)),
                    "learning_rate": float(optimizer.param_groups[0]["lr"]),
                    "divergence": divergence,
                    "deviation": float(network.log_deviation.detach().exp().mean()),
                }
                writer.writerow([f"{value:.6g}" for value in row.values()])
                file.flush()
                for group in groups:
                    group.finished.clear()
                if progress is not None:
                    progress(row)
            if steps >= saved * config.every or steps >= config.steps:
                save_file(network.tensors(), folder / f"{steps:010d}.safetensors")
                saved = steps


class _Running:
    """Running mean and variance of everything seen."""

    def __init__(self, size: int) -> None:
        self.count, self.mean, self.variance = 1e-4, np.zeros(size), np.ones(size)

    def add(self, values: Array) -> None:
        mean, variance, count = values.mean(axis=0), values.var(axis=0), len(values)
        total = self.count + count
        gap = mean - self.mean
        moment = self.variance * self.count + variance * count + gap**2 * self.count * count / total
        self.mean, self.variance, self.count = self.mean + gap * count / total, moment / total, total

    @property
    def deviation(self) -> Array:
        return np.asarray(np.sqrt(self.variance) + 1e-2)


@torch.no_grad()
def _collect(
    network: ActorCritic,
    groups: list[_Group],
    config: TeacherConfig,
    generator: np.random.Generator,
    statistics: _Running,
    returns: _Running,
    discounted: list[Array],
) -> Batch:
    """Roll out all groups; `statistics` of features and `returns` keep running."""
    lanes = config.lanes // len(groups)
    shape = (config.rollout, len(groups) * lanes)
    features = np.zeros((*shape, len(statistics.mean)))
    rewards, ends = np.zeros(shape), np.zeros(shape, bool)
    values, after_end = np.zeros((config.rollout + 1, shape[1])), np.zeros(shape)
    deviation = network.log_deviation.exp().numpy()
    means, actions = (np.zeros((*shape, len(deviation))) for _ in range(2))
    for t in range(config.rollout):
        features[t] = np.concatenate([group.features for group in groups])
        inputs = network.normalised(features[t])
        means[t], values[t] = network.actor(inputs).numpy(), network.critic(inputs)[:, 0].numpy()
        actions[t] = means[t] + deviation * generator.standard_normal(means[t].shape)
        for index, group in enumerate(groups):
            part = slice(index * lanes, (index + 1) * lanes)
            rewards[t, part], last = group.step(actions[t, part])
            discounted[index] = config.discount * discounted[index] + rewards[t, part]
            returns.add(discounted[index][:, None])
            if last is not None:  # the horizon is not an end of the task: bootstrap from the value there
                ends[t, part] = True
                after_end[t, part] = network.critic(network.normalised(last))[:, 0].numpy()
                discounted[index] = np.zeros(lanes)
    values[-1] = network.critic(network.normalised(np.concatenate([group.features for group in groups])))[:, 0].numpy()
    rewards = rewards / float(returns.deviation[0])
    advantages, running = np.zeros(shape), np.zeros(shape[1])
    for t in reversed(range(config.rollout)):
        following = np.where(ends[t], after_end[t], values[t + 1])
        error = rewards[t] + config.discount * following - values[t]
        running = error + config.discount * config.trace * np.where(ends[t], 0.0, running)
        advantages[t] = running
    log_probability = -0.5 * np.square((actions - means) / deviation).sum(axis=-1) - np.log(deviation).sum()
    flat = features.reshape(-1, features.shape[-1])
    inputs = network.normalised(flat)
    statistics.add(flat)

    def flattened(values: Array) -> torch.Tensor:
        return torch.as_tensor(values, dtype=torch.float32).flatten(0, 1)

    return Batch(
        inputs=inputs,
        actions=flattened(actions),
        means=flattened(means),
        log_probability=flattened(log_probability),
        advantage=flattened(advantages),
        target=flattened(advantages + values[:-1]),
        log_deviation=network.log_deviation.detach().clone(),
    )


def _trainable(suite: Suite) -> LocomotionFamily:
    family: Any = suite.family
    if not isinstance(family, LocomotionFamily):
        raise MetabenchError(f"suite {suite.name}: family {family.name} has no teacher to train; MuJoCo families have")
    return family
