"""Stepping the MuJoCo families in batches, against raw `mj_step` in as many threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import mujoco
import numpy as np
import pytest

from metabench import load_suite
from metabench.envs.locomotion.environment import LocomotionEnvironment

LANES, THREADS, STEPS, ROUNDS = 256, 2, 100, 5
AIM = 0.7
"""Share of the raw rate."""


@pytest.fixture(autouse=True)
def _threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", str(THREADS))


def raw_seconds(models: list[mujoco.MjModel], actions: np.ndarray, skip: int, episodes: int) -> float:
    """Seconds for `episodes` episodes of each thread, each of the model and the actions of another lane."""

    def work(first: int) -> None:
        data = mujoco.MjData(models[first])
        for lane in range(first, first + episodes):
            mujoco.mj_resetData(models[lane], data)
            for action in actions[lane]:
                data.ctrl[:] = action
                mujoco.mj_step(models[lane], data, nstep=skip)

    workers = [threading.Thread(target=work, args=(thread * episodes,)) for thread in range(THREADS)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return time.perf_counter() - began


@pytest.mark.parametrize("name", ["cheetah-vel", "cheetah-dir", "ant-dir", "hopper-param", "walker-param"])
def test_stepping(benchmark: Callable, report: Callable, name: str) -> None:
    """Both from rest, for the same number of steps, so that as many contacts are solved."""
    suite = load_suite(name)
    environment = suite.environment()
    assert isinstance(environment, LocomotionEnvironment)
    tasks = [suite.tasks[lane % len(suite.tasks)].parameters for lane in range(LANES)]
    actions = suite.spaces.uniform_actions(np.random.default_rng(0), (LANES, STEPS)).astype(float)
    skip = round(environment.seconds / environment.model.opt.timestep)
    episodes = 16
    models = [environment.task_model(task) for task in tasks[: THREADS * episodes]]
    raw: list[float] = []

    def prepare() -> None:
        """The raw rate is measured between the rounds: what else the machine does slows both."""
        raw.append(raw_seconds(models, actions, skip, episodes) / (THREADS * episodes * STEPS))
        environment.reset(tasks, list(range(LANES)))

    def batched() -> None:
        for timestep in range(STEPS):
            environment.step(actions[:, timestep])

    benchmark.pedantic(batched, setup=prepare, rounds=ROUNDS)
    each = benchmark.stats.stats.median / (LANES * STEPS)
    ratio = float(np.median(raw)) / each
    report(
        f"stepping {name}, {LANES} lanes in {THREADS} threads: {1 / each:,.0f} steps a second, {ratio:.2f} of raw "
        f"mj_step in {THREADS} threads ({1 / np.median(raw):,.0f}); at least {AIM:.2f} is aimed at"
    )
