"""The blind reference: the best policy that knows neither task nor past.

It maps the present observation to an action, and is trained online like the teacher, over the training tasks. What a
teacher earns above it is what finding out the task is worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from metabench.envs import Array, TaskParameters, TeacherTraining
from metabench.envs.locomotion.network_teacher import TeacherNetwork, read_network
from metabench.errors import DataError, MetabenchError, SimulationError
from metabench.seeding import derive_seed
from metabench.suites import Suite
from metabench.teachers.select import list_checkpoints


def make_blind_training(suite: Suite) -> TeacherTraining:
    """Training of a network that sees observations alone; it is given tasks of the suite only."""
    spaces = suite.spaces

    def draw_task(generator: np.random.Generator) -> TaskParameters:
        raise MetabenchError(f"suite {suite.name}: blind training takes the suite's tasks only")

    return TeacherTraining(
        feature_dim=spaces.observation_dim,
        action_dim=spaces.action_dim,
        make_features=lambda observations, tasks: observations,
        draw_task=draw_task,
        discrete=spaces.discrete,
        to_environment=lambda actions, tasks: to_bounds(suite, actions),
    )


def to_bounds(suite: Suite, actions: Array) -> Array:
    """A network's actions as the environment takes them: choices as they are, others from [-1, 1] to the bounds."""
    spaces = suite.spaces
    if spaces.discrete:
        return actions
    low, high = np.array(spaces.action_low), np.array(spaces.action_high)
    return np.asarray(low + (np.clip(actions, -1.0, 1.0) + 1.0) / 2.0 * (high - low))


def read_blind(path: Path, suite: Suite) -> TeacherNetwork:
    """The weights of a blind policy for `suite`; raises `DataError` naming file and tensor."""
    return read_network(path, suite.spaces.observation_dim, suite.spaces.action_dim)


def act_blindly(network: TeacherNetwork, suite: Suite, observation: Array) -> Array:
    """The network's best action for each of `(lanes, observation_dim)`: its mean, or the likeliest choice."""
    outputs = network(np.asarray(observation, np.float64))
    return outputs.argmax(axis=-1) if suite.spaces.discrete else to_bounds(suite, outputs)


def measure_blind(
    suite: Suite, network: TeacherNetwork, tasks: Sequence[int], episodes: int
) -> Array:
    """`(tasks, episodes)` returns, from reset seeds of their own."""
    environment = suite.environment()
    lanes = np.repeat(tasks, episodes).tolist()
    returns: list[float] = []
    for start in range(0, len(lanes), environment.lanes_at_once):
        part = lanes[start : start + environment.lanes_at_once]
        seeds = [
            derive_seed("blind", suite.name, suite.entry.version, task, (start + i) % episodes)
            for i, task in enumerate(part)
        ]
        observation = environment.reset([suite.tasks[task].parameters for task in part], seeds)
        totals, active = np.zeros(len(part)), np.ones(len(part), bool)
        for _ in range(suite.entry.horizon):
            try:
                step = environment.step(act_blindly(network, suite, observation))
            except SimulationError as error:
                raise error.in_task(suite.name, part[error.lane]) from error
            totals[active] += step.reward[active]
            active &= ~step.terminated
            observation = step.observation
            if not active.any():
                break
        returns += totals.tolist()
    return np.array(returns).reshape(len(tasks), episodes)


def choose_blind(suite: Suite, folder: Path, episodes: int) -> tuple[Path, TeacherNetwork]:
    """The checkpoint of a blind training with the highest mean score on the training tasks, and its network.

    Raises:
        DataError: the folder holds no checkpoints, or they are of other spaces.
    """
    paths = list_checkpoints(folder)
    if not paths:
        raise DataError(
            f"{folder}: expected checkpoints of `metabench teacher train {suite.name} --blind`, found none"
        )
    networks = [read_blind(path, suite) for path in paths]
    scores = [score_blind(suite, network, "train", episodes) for network in networks]
    best = int(np.argmax(scores))
    return paths[best], networks[best]


def score_blind(suite: Suite, network: TeacherNetwork, split: str, episodes: int) -> float:
    """Mean normalised score over the tasks of a split."""
    tasks = [task.id for task in suite.split(split)]
    returns = measure_blind(suite, network, tasks, episodes)  # (tasks, episodes)
    scores = suite.normalised(np.repeat(tasks, episodes).tolist(), returns.ravel().tolist())
    return float(np.mean(scores))
