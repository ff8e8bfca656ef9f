"""A bandit whose best arm is the task, with a history and an expert, learned in seconds."""

from __future__ import annotations

import numpy as np

from metabench import Columns, Episode, Spaces, Step, TrainingData

ARMS, HORIZON = 3, 5
SPACES = Spaces(2, HORIZON, num_actions=ARMS)


def make_bandits(tasks=6, episodes=40, stages=10, noisy_labels=False):
    """Task m pays for arm m modulo 3; the later an episode, the more of its actions are the best one."""
    generator = np.random.default_rng(0)
    count = tasks * episodes
    best = np.arange(tasks) % ARMS  # (tasks,)
    share = np.arange(episodes) // (episodes // stages) / (stages - 1)  # (episodes,)
    random = generator.integers(ARMS, size=(tasks, episodes, HORIZON))
    expert = generator.random(random.shape) < share[:, None]
    actions = np.where(expert, best[:, None, None], random)
    labels = (
        generator.integers(ARMS, size=random.shape)
        if noisy_labels
        else np.broadcast_to(best[:, None, None], random.shape)
    )
    columns = Columns(
        observations=generator.normal(size=(count * (HORIZON + 1), 2)).astype(np.float32),
        actions=actions.reshape(-1),
        rewards=(actions == best[:, None, None]).reshape(-1).astype(np.float32),
        offsets=np.arange(count + 1) * HORIZON,
        terminated=np.zeros(count, bool),
        tasks=np.repeat(np.arange(tasks), episodes),
        stages=np.tile(np.arange(episodes) // (episodes // stages), tasks),
        expert_actions=labels.reshape(-1),
    )
    return TrainingData(columns, SPACES)


def act_episodes(policy, best, support, seeds, scored):
    """One episode of each lane, whose task is its group; those of the arms `best` `(lanes,)` pay."""
    lanes, generator = len(best), np.random.default_rng(7)
    policy.reset(list(range(lanes)), seeds)
    if support:
        policy.adapt(support)
    observations = generator.normal(size=(HORIZON + 1, lanes, 2)).astype(np.float32)
    actions, rewards = np.zeros((HORIZON, lanes), np.int64), np.zeros((HORIZON, lanes), np.float32)
    for time in range(HORIZON):
        before = actions[time - 1] * (time > 0), rewards[time - 1] * np.float32(time > 0)
        marks = np.full(lanes, time), np.ones(lanes, bool), np.full(lanes, scored)
        actions[time] = policy.act(Step(observations[time], *before, *marks))
        rewards[time] = actions[time] == best
    return [Episode(observations[:, i], actions[:, i], rewards[:, i], False, True) for i in range(lanes)]
