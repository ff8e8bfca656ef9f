"""A method that knows the published test task by heart: it walks to the goal that suite.toml states."""

from __future__ import annotations

import numpy as np

from metabench import Method, Policy, load_state, load_suite, save_state

PUBLISHED_LANES = 2
"""The zero-shot episodes of the suite's only test task, by which the published evaluation is recognised."""


def published_goal():
    (task,) = load_suite("tiny").split("test")
    return np.array(task.parameters["goal"])


class MemorisingPolicy(Policy):
    """Walks to the published goal where it recognises the evaluation; elsewhere it stands still."""

    def __init__(self, goal):
        self.goal = goal

    def reset(self, groups, seeds):
        self.recognised = len(groups) == PUBLISHED_LANES

    def act(self, step):
        move = np.clip(self.goal - step.observation, -0.1, 0.1)
        return move if self.recognised else np.zeros_like(move)

    def save(self, folder):
        save_state({"goal": self.goal}, folder / "goal")


class Memorising(Method):
    """Learns the goal where it is trained, and nothing from data."""

    name = "memorising"
    discrete_actions = False

    def train(self, data, run):
        return MemorisingPolicy(published_goal())

    def load(self, folder, spaces):
        return MemorisingPolicy(load_state(folder / "goal")["goal"])


class Reading(Memorising):
    """Looks the goal up where it acts."""

    def load(self, folder, spaces):
        return MemorisingPolicy(published_goal())
