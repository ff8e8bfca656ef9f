"""A task family whose episodes end when their task says so, for tests of the rollout loop."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from metabench.envs import BatchedEnvironment, BatchStep, Spaces, TaskFamily, load_family
from metabench.envs.family import FAMILIES
from metabench.suites import Suite, load_suite

HORIZON = 6


class CountdownEnvironment(BatchedEnvironment):
    """An episode ends, with success, after the task's `length` steps; 0 never ends. Reward: action plus timestep."""

    resets: ClassVar[list[tuple[list[float], list[int]]]] = []

    def __init__(self, spaces):
        self.spaces = spaces

    def reset(self, parameters, seeds):
        CountdownEnvironment.resets.append(([task["name"] for task in parameters], list(seeds)))
        self._length = np.array([task["length"] for task in parameters])
        self._noise = np.array([np.random.default_rng(seed).random() for seed in seeds])
        self._time = 0
        return self._observation()

    def step(self, actions):
        assert np.isfinite(actions).all()
        reward = np.asarray(actions, np.float64)[:, 0] + self._time + 1e-9
        self._time += 1
        ended = self._time == self._length
        return BatchStep(self._observation(), reward, ended, ended)

    def _observation(self):
        return np.stack([self._noise, np.full(len(self._noise), self._time)], 1).astype(np.float32)


class CountdownFamily(TaskFamily):
    name = "countdown"

    def spaces(self, horizon):
        return Spaces(2, horizon, (-1.0,), (2.0,))

    def check_parameters(self, parameters):
        if set(parameters) != {"name", "length"}:
            raise ValueError("expected name and length")

    def environment(self, horizon):
        return CountdownEnvironment(self.spaces(horizon))

    def teacher(self, folder, horizon):
        return load_family("point-robot").teacher(folder, horizon)


@pytest.fixture
def countdown(monkeypatch: pytest.MonkeyPatch):
    """Make a suite of test tasks with given episode lengths: `countdown(tmp_path, [0, 2], episodes=1, supports=1)`."""
    module = types.ModuleType("countdown_family")
    module.CountdownFamily = CountdownFamily
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(FAMILIES, "countdown", "countdown_family:CountdownFamily")
    monkeypatch.setattr(CountdownEnvironment, "resets", [])

    def make(folder: Path, lengths: list[int], episodes: int = 1, supports: int = 1) -> Suite:
        folder = folder / "countdown"
        folder.mkdir()
        tasks = [("train", False, 0), ("train", True, 0), *(("test", False, length) for length in lengths)]
        text = f"""
format = 1
name = "countdown"
version = 1
title = "Episodes that end when their task says so"
family = "countdown"
horizon = {HORIZON}
internal = true
distribution = "by hand"
[evaluation]
episodes = {episodes}
supports = {supports}
[datasets.medium]
trajectories = 4
behaviours = {{ medium = 1.0 }}
"""
        for number, (split, validation, length) in enumerate(tasks):
            text += f"""
[[task]]
id = {number}
split = "{split}"
validation = {str(validation).lower()}
parameters = {{ name = {number}, length = {length} }}
reference = {{ random = 0.0, expert = 1.0 }}
"""
        (folder / "suite.toml").write_text(text)
        return load_suite(folder)

    make.resets = CountdownEnvironment.resets
    return make
