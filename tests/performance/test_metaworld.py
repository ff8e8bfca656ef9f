"""Stepping Meta-World in lanes against one stock environment, and opening its largest suite."""

from __future__ import annotations

import pickle
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import pytest

from metabench import load_suite

LANES, WORKERS, STEPS, ROUNDS = 16, 2, 250, 5
AIM = 2.5
"""Times the stock environment's rate."""

OPENING = 2.0
"""Seconds in which `ml45` must be open; stock Meta-World takes about a minute to draw its goals."""


def stock_seconds(task: dict, actions: np.ndarray) -> float:
    """Seconds a step of the stock environment."""
    from metaworld import Task
    from metaworld.env_dict import ALL_V3_ENVIRONMENTS

    environment_class = ALL_V3_ENVIRONMENTS[task["environment"]]
    environment = environment_class()
    rand_vec = np.array(task["rand_vec"] if "rand_vec" in task else [0.0, 0.62, 0.02, *task["goal"]])
    content = {"rand_vec": rand_vec, "env_cls": environment_class, "partially_observable": True}
    environment.set_task(Task(task["environment"], pickle.dumps(content)))
    environment.reset()
    began = time.perf_counter()
    for action in actions:
        environment.step(action)
    return (time.perf_counter() - began) / len(actions)


@pytest.mark.parametrize("name", ["reach", "push", "pick-place", "door-lock", "sweep"])
def test_stepping(benchmark: Callable, report: Callable, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", str(WORKERS))
    suite = load_suite(name)
    environment = suite.environment()
    tasks = [suite.tasks[lane].parameters for lane in range(LANES)]
    actions = suite.spaces.uniform_actions(np.random.default_rng(0), (LANES, STEPS))
    stock: list[float] = []

    def prepare() -> None:
        """The stock rate is measured between the rounds: what else the machine does slows both."""
        stock.append(stock_seconds(tasks[0], actions[0]))
        environment.reset(tasks, list(range(LANES)))

    def batched() -> None:
        for timestep in range(STEPS):
            environment.step(actions[:, timestep])

    benchmark.pedantic(batched, setup=prepare, rounds=ROUNDS)
    each = benchmark.stats.stats.median / (LANES * STEPS)
    ratio = float(np.median(stock)) / each
    report(
        f"stepping {name}, {LANES} lanes in {WORKERS} workers: {1 / each:,.0f} steps a second, {ratio:.2f} times one "
        f"stock environment ({1 / np.median(stock):,.0f}); {AIM:.1f} times are asked of reach"
    )
    if name == "reach":
        assert ratio > AIM


def test_opening_the_largest_suite(report: Callable) -> None:
    began = time.perf_counter()
    script = "import metabench; suite = metabench.load_suite('ml45'); print(len(suite.tasks), suite.spaces.horizon)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - began
    report(f"a new process opens ml45, {done.stdout.split()[0]} tasks, in {seconds:.2f} s; at most {OPENING:.1f} s")
    assert seconds < OPENING
