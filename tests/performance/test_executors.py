"""Executors for real: a Ray cluster of several nodes on this machine, one of them killed in mid-cell; their cost."""

from __future__ import annotations

import itertools
import os
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from metabench.runs.execute_cell import execute_cell
from metabench.runs.executors.events import Event
from metabench.runs.executors.ray import RayExecutor
from metabench.runs.executors.run_cells import run_cells
from metabench.runs.kept.record import read_record
from metabench.runs.plan import plan_cells
from metabench.runs.planned_cell import PlannedCell
from metabench.runs.request import RunRequest
from metabench.runs.settings import Settings

METHODS = Path(__file__).parents[1] / "runs" / "small_methods.py"

SPEED_UP = 1.7
"""Of two workers over one, at least."""

OVERHEAD = 0.3
"""Seconds a cell that the local executor may add, beyond imports."""

SETTINGS = Settings(threads=1, checkpoint_seconds=0.0)


@pytest.fixture
def place(tiny_built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a home in which the data of `tiny` is built."""
    for variable, name in (("METABENCH_HOME", "home"), ("MINARI_DATASETS_PATH", "minari")):
        shutil.copytree(tiny_built / name, tmp_path / name)
        monkeypatch.setenv(variable, str(tmp_path / name))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A Ray cluster whose head runs no cells; this process is connected to it."""
    ray = pytest.importorskip("ray", reason="ray is not installed: pip install ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_register_timeout_seconds", "900")  # a busy machine starts processes slowly
        patch.setenv("RAY_raylet_start_wait_time_s", "900")
        from ray.cluster_utils import Cluster

        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        try:
            ray.init(address=made.address, log_to_driver=False, logging_level="error")
            yield made
        finally:
            ray.shutdown()
            made.shutdown()


def plan(results: Path, method: str, count: int, preset: str = "tiny", **overrides: Any) -> tuple[PlannedCell, ...]:
    return plan_cells(
        RunRequest(
            ["tiny"], ["medium"], [method], preset=preset, seeds=range(count), overrides=overrides, results=results
        )
    )


def test_a_node_killed_in_mid_cell_costs_nothing_but_time(
    cluster: Any, place: Path, monkeypatch: pytest.MonkeyPatch, report: Callable
) -> None:
    """Three nodes; once both that run cells are at work, one is killed; its cell goes on at the other."""
    slow, updates = f"{METHODS}:Slow", 60
    alone = plan(place / "alone", slow, 3, "cpu", updates=updates)
    assert run_cells(alone, SETTINGS).finished == (0, 1, 2)

    monkeypatch.setenv("SLEEP", "0.25")
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    killed: list[float] = []
    begun: set[int] = set()
    events: list[Event] = []

    def listen(event: Event) -> None:
        events.append(event)
        if event.kind == "progress" and event.done > 1:
            begun.add(event.index)
        if len(begun) == 2 and not killed:
            killed.append(time.perf_counter())
            cluster.remove_node(nodes[0], allow_graceful=False)

    cells = plan(place / "together", slow, 3, "cpu", updates=updates)
    outcome = run_cells(cells, SETTINGS, executor=RayExecutor(), listener=listen)
    assert killed, "no node was killed: the cells were too quick"
    assert outcome.finished == (0, 1, 2), [event for event in events if event.kind == "failed"]
    records = [read_record(cell.record_path) for cell in cells]
    resumed = [record.provenance.resumed for record in records]
    assert sorted(resumed) == [0, 0, 1]
    for one, other in zip(alone, records, strict=True):
        assert read_record(one.record_path).result == other.result
    restarts = [event.index for event in events if event.kind == "started"]
    assert restarts.count(resumed.index(1)) == 2
    report(
        f"Ray, 3 nodes, one killed in mid-cell: 3 of 3 cells finished, equal to those of one process; the lost one was "
        f"resumed, {time.perf_counter() - killed[0]:.0f} s from the kill to the end of all"
    )


def test_ray_with_two_workers_is_faster_than_with_one(cluster: Any, place: Path, report: Callable) -> None:
    """24 cells each time, in turn, the quicker of three; a first round is not counted.

    In it workers import torch, which is no part of a cell, and Ray's own processes, which take the cores, start.
    """
    cluster.add_node(num_cpus=2)
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for turn in range(4):
        for workers, measured in seconds.items():
            cells = plan(place / f"results-{turn}-{workers}", "bc", 24)
            began = time.perf_counter()
            assert len(run_cells(cells, Settings(threads=1), executor=RayExecutor(workers=workers)).finished) == 24
            if turn:
                measured.append(time.perf_counter() - began)
            shutil.rmtree(place / "home" / "policies")
    one, two = min(seconds[1]), min(seconds[2])
    report(
        f"Ray, 24 tiny cells, one thread each: 1 worker {one:.1f} s, 2 workers {two:.1f} s, "
        f"{one / two:.2f} times as fast; {SPEED_UP} times aimed at, on {os.cpu_count()} cores"
    )


def test_the_local_executor_costs_little(place: Path, report: Callable) -> None:
    """What a cell takes in a worker process, beyond what it takes here; a worker's start and imports are taken out."""
    cells = plan(place / "here", "random", 9)
    ends = []
    for cell in cells:
        execute_cell(cell, SETTINGS, lambda *progress: None)
        ends.append(time.perf_counter())
    inside = statistics.median(later - sooner for sooner, later in itertools.pairwise(ends))

    finished: list[float] = []

    def listen(event: Event) -> None:
        if event.kind == "finished":
            finished.append(time.perf_counter())

    separate = Settings(threads=1, checkpoint_seconds=0.0, separate=True)
    run_cells(plan(place / "there", "random", 9), separate, listener=listen)
    assert len(finished) == 9
    between = statistics.median(later - sooner for sooner, later in itertools.pairwise(finished))
    report(
        f"local executor: {between:.3f} s a cell in a worker, {inside:.3f} s without one: "
        f"{between - inside:+.3f} s of scheduling, {OVERHEAD} s allowed"
    )
