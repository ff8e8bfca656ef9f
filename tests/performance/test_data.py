"""Data: making it, and drawing batches from it."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from metabench import Spaces, TrainingData, load_suite
from metabench.data.columns import Columns
from metabench.data.making.build import build_data
from metabench.data.making.roll_out import roll_out

BUILD_AIMS = {"point-robot": 40.0, "cheetah-vel": 90.0}
"""Seconds for 5,500 and more trajectories of `medium`, in all 116,000 and 1,100,000 steps, on two cores."""

DRAW_AIM = 3e-3
"""Seconds a batch."""


@pytest.mark.parametrize("name", BUILD_AIMS)
def test_building(
    benchmark: Callable, report: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    suite, aim = load_suite(name), BUILD_AIMS[name]
    tasks = [task.id for task in suite.dataset_tasks("medium") for _ in range(suite.dataset("medium").trajectories)]
    began = time.perf_counter()
    roll_out(suite, tasks, ["medium"] * len(tasks), list(range(len(tasks))))
    rolling = time.perf_counter() - began

    monkeypatch.setenv("METABENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    benchmark.pedantic(build_data, (suite, "medium"), rounds=1)
    seconds = benchmark.stats.stats.median
    report(
        f"building {name} medium ({len(tasks)} trajectories): {seconds:.1f} s, {seconds / aim:.2f} of the {aim:.0f} s "
        f"aimed at, {seconds / rolling:.1f} times the rolling out alone"
    )


@pytest.fixture(scope="module")
def large_data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    """900,000 steps in 4,500 episodes of 45 tasks, memory-mapped as stores are."""
    folder = tmp_path_factory.mktemp("large")
    generator = np.random.default_rng(0)
    tasks, episodes, length = 45, 100, 200
    count = tasks * episodes
    arrays = {
        "observations": generator.standard_normal((count * (length + 1), 20), np.float32),
        "actions": generator.uniform(-1, 1, (count * length, 6)).astype(np.float32),
        "rewards": generator.standard_normal(count * length, np.float32),
    }
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values)
    columns = Columns(
        **{name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in arrays},
        offsets=np.arange(count + 1) * length,
        terminated=np.zeros(count, bool),
        tasks=np.repeat(np.arange(tasks), episodes),
    )
    return TrainingData(columns, Spaces(20, length, action_low=(-1.0,) * 6, action_high=(1.0,) * 6))


def slice_by_slice(data: TrainingData, generator: np.random.Generator) -> list[np.ndarray]:
    """The same batch by a plain loop over its windows."""
    columns = data.columns
    batch: dict[str, list[np.ndarray]] = {"seen": [], "next": [], "actions": [], "rewards": [], "to_go": []}
    for _ in range(128):
        episode = int(generator.integers(data.num_episodes))
        first = int(columns.offsets[episode]) + int(generator.integers(int(data.lengths[episode]) - 19))
        batch["seen"].append(columns.observations[first + episode : first + episode + 20])
        batch["next"].append(columns.observations[first + episode + 1 : first + episode + 21])
        batch["actions"].append(data.action_features[first : first + 20])
        batch["rewards"].append(columns.rewards[first : first + 20])
        batch["to_go"].append(data.returns_to_go[first : first + 20])
    return [np.stack(windows) for windows in batch.values()]


def test_drawing_a_batch(benchmark: Callable, report: Callable, large_data: TrainingData) -> None:
    assert large_data.num_transitions == 900_000
    generator = np.random.default_rng(1)
    windows = benchmark.pedantic(
        large_data.sample_windows, (generator, 128, 20), rounds=100, iterations=5, warmup_rounds=20
    )
    assert windows.observations.shape == (128, 20, 20)
    seconds = benchmark.stats.stats.median
    loops = []
    for _ in range(50):
        began = time.perf_counter()
        slice_by_slice(large_data, generator)
        loops.append(time.perf_counter() - began)
    report(
        f"drawing 128 windows of 20 steps from 900,000: {seconds * 1e3:.2f} ms, {seconds / DRAW_AIM:.2f} of the "
        f"{DRAW_AIM * 1e3:.0f} ms aimed at, {seconds / np.median(loops):.2f} of a plain loop over windows"
    )
