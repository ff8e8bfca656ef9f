"""The MuJoCo families beside EnvPool and Gymnasium's own vector environments: the same bodies, measured in turn.

EnvPool is no dependency: `pip install envpool` where it is to be measured. What differs besides the code: our lanes are
of different tasks, and their rewards are the suite's; EnvPool brings a MuJoCo of its own; Gymnasium's are of `-v5`. All
begin at rest and get random actions. Bodies that have fallen are reset by the others, and go on lying with us.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import time
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest

from metabench import load_suite

LANES, THREADS, ROUNDS = 256, 2, 5
STEPS = 50
"""Of our lanes and EnvPool's in each round."""

GYMNASIUM_STEPS, PROCESSES = 10, 2
"""Steps of Gymnasium's lanes in each round: they are slow; and lanes of its environment of processes."""

BODIES = {
    "cheetah-vel": "HalfCheetah",
    "ant-dir": "Ant",
    "hopper-param": "Hopper",
    "walker-param": "Walker2d",
}


@pytest.fixture(autouse=True)
def _threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", str(THREADS))


def envpool_version() -> str:
    return importlib.metadata.version("envpool")


@pytest.fixture
def opened() -> Iterator[list[Any]]:
    """Environments to be closed at the end."""
    environments: list[Any] = []
    yield environments
    for environment in environments:
        environment.close()


@pytest.mark.parametrize("name", BODIES)
def test_steps_a_second(report: Callable[[str], None], opened: list[Any], name: str) -> None:
    """In turn, round by round: what else the machine does slows all of them."""
    suite = load_suite(name)
    ours = suite.environment()
    tasks = [suite.tasks[lane % len(suite.tasks)].parameters for lane in range(LANES)]
    body = BODIES[name]
    rates: dict[str, list[float]] = {}

    def measure(label: str, lanes: int, steps: int, step: Callable[[int], Any]) -> None:
        began = time.perf_counter()
        for timestep in range(steps):
            step(timestep)
        rates.setdefault(label, []).append(lanes * steps / (time.perf_counter() - began))

    actions = suite.spaces.uniform_actions(np.random.default_rng(0), (STEPS, LANES))
    wide = actions.astype(np.float64)
    serial = gymnasium.vector.SyncVectorEnv([lambda: gymnasium.make(f"{body}-v5")] * LANES)
    parallel = gymnasium.vector.AsyncVectorEnv([lambda: gymnasium.make(f"{body}-v5")] * PROCESSES)
    opened += [serial, parallel]
    pool: Any = None
    if importlib.util.find_spec("envpool"):
        import envpool

        pool = envpool.make(f"{body}-v4", env_type="gymnasium", num_envs=LANES, num_threads=THREADS)
        opened.append(pool)
    for _ in range(ROUNDS):
        ours.reset(tasks, list(range(LANES)))
        measure("metabench", LANES, STEPS, lambda timestep: ours.step(wide[timestep]))
        if pool is not None:
            pool.reset()
            measure("EnvPool", LANES, STEPS, lambda timestep: pool.step(wide[timestep]))
        serial.reset(seed=0)
        measure("Gymnasium, one process", LANES, GYMNASIUM_STEPS, lambda timestep: serial.step(actions[timestep]))
        parallel.reset(seed=0)
        measure(
            f"Gymnasium, {PROCESSES} processes",
            PROCESSES,
            STEPS,
            lambda timestep: parallel.step(actions[timestep, :PROCESSES]),
        )
    own = float(np.median(rates["metabench"]))
    assert all(np.isfinite(rate) and rate > 0 for found in rates.values() for rate in found)
    versions = {"metabench": f", MuJoCo {mujoco.__version__}", "EnvPool": f" {pool and envpool_version()}"}
    for label, found in rates.items():
        rate = float(np.median(found))
        report(
            f"{body}, {LANES} lanes, {THREADS} threads: {label}{versions.get(label, '')}: {rate:,.0f} steps a second, "
            f"{rate / own:.2f} of ours"
        )
    if pool is None:
        report(f"{body}: EnvPool was not measured; `pip install envpool`")
