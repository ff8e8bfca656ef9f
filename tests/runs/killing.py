"""Kill cells at random moments, again and again: what they end with must be what an uninterrupted run ends with.

`python tests/runs/killing.py --kills 200` goes through all trainable methods; the tests do a few of each.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

METHODS = {
    "bc": "medium",
    "prompt-dt": "medium",
    "meta-dt": "medium",
    "meta-dt-plus": "medium",
    "oswm-plus-meta": "medium",
    "twm-plus": "medium",
    "unicorn": "medium",
    "corro": "medium",
    "borel": "medium",
    "macaw-lite": "medium",
    "s-icql": "medium",
    "ad": "histories",
    "dpt": "expert-actions",
}
"""All that train in a cell, but for those that others are configurations of, and what they are trained on."""

PRELOADED = (
    "metabench.runs.execute_cell",
    "metabench.runs.plan",
    "metabench_baselines.twm_plus",
    "metabench_baselines.oswm_plus",
)
"""Imported once: of a process that lives for a second, importing torch would be the most."""


def run(folder: Path, method: str) -> None:
    """Run the cell to its end, in a process of its own."""
    os.environ["METABENCH_HOME"], os.environ["MINARI_DATASETS_PATH"] = str(folder / "home"), str(folder / "minari")
    from metabench.runs.execute_cell import execute_cell
    from metabench.runs.plan import plan_cells
    from metabench.runs.request import RunRequest
    from metabench.runs.settings import Settings

    (cell,) = plan_cells(RunRequest(["tiny"], [METHODS[method]], [method], preset="tiny", results=folder / "results"))
    execute_cell(cell, Settings(checkpoint_seconds=0.1), lambda stage, done, total, metrics: None)


def digest(folder: Path) -> str:
    """Of the result that the cell ended with."""
    from metabench.runs.kept.record import read_record

    (path,) = (folder / "results").rglob("[0-9].json.gz")
    return read_record(path).digest


@dataclass(frozen=True)
class Survived:
    """What became of a method's kills.

    Attributes:
        kills: how many there were.
        runs: cells that were run to their end, each killed once or more often.
        differing: of these, how many ended with another result than the uninterrupted run.
        seconds: of the uninterrupted run.
    """

    kills: int
    runs: int
    differing: int
    seconds: float


def kill_often(built: Path, folder: Path, method: str, kills: int, generator: np.random.Generator) -> Survived:
    """Kill a cell of `method` so many times, at random moments; whenever it ends, begin anew.

    Args:
        built: `home` and `minari` with the data of suite `tiny`.
        folder: an empty folder.
        method: its name.
        kills: how many.
        generator: of the moments.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))

    loaded = context.Process(target=time.sleep, args=(0,))  # what follows must not count the time of importing
    loaded.start()
    loaded.join()

    def begin(number: int) -> Path:
        place = folder / f"{number}"
        for name in ("home", "minari"):
            shutil.copytree(built / name, place / name)
        return place

    def start(place: Path) -> multiprocessing.process.BaseProcess:
        process = context.Process(target=run, args=(place, method))
        process.start()
        return process

    def finish(place: Path) -> str:
        process = start(place)
        process.join()
        if process.exitcode != 0:
            raise RuntimeError(f"{method}: the run in {place} ended with exit status {process.exitcode}")
        return digest(place)

    place, began = begin(0), time.monotonic()
    expected = finish(place)
    seconds = time.monotonic() - began
    ends: list[str] = []
    landed = 0
    while landed < kills:
        place = begin(1 + len(ends))
        for _ in range(int(generator.integers(1, 5))):
            process = start(place)
            process.join(generator.uniform(0.0, seconds))
            if process.exitcode is None:
                os.kill(int(process.pid or 0), signal.SIGKILL)
                process.join()
                landed += 1
            if process.exitcode == 0 or landed == kills:
                break
        ends.append(finish(place))
        shutil.rmtree(place)
    return Survived(landed, len(ends), sum(each != expected for each in ends), seconds)


def main(arguments: Sequence[str]) -> int:
    """Kill all methods' cells, and say what became of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="in all  [200]")
    parser.add_argument("--seed", type=int, default=0, help="of the moments  [0]")
    parser.add_argument("--methods", default=",".join(METHODS), help="which")
    given = parser.parse_args(arguments)
    methods, wrong, total = given.methods.split(","), 0, 0
    with tempfile.TemporaryDirectory() as name:
        built = Path(name) / "built"
        os.environ["METABENCH_HOME"], os.environ["MINARI_DATASETS_PATH"] = str(built / "home"), str(built / "minari")
        from metabench.data.making.build import build_data
        from metabench.suites import load_suite

        tiny = load_suite("tiny")
        for dataset in tiny.entry.datasets:  # predictions are of all behaviours
            build_data(tiny, dataset)
        for number, method in enumerate(methods):
            kills = given.kills * (number + 1) // len(methods) - given.kills * number // len(methods)
            generator = np.random.default_rng([given.seed, number])
            found = kill_often(built, Path(name) / method, method, kills, generator)
            total, wrong = total + found.kills, wrong + found.differing
            sys.stdout.write(
                f"{method}: {found.kills} kills in {found.runs} runs of {found.seconds:.1f} s, "
                f"{found.differing} with another result\n"
            )
            sys.stdout.flush()
    sys.stdout.write(f"{total} kills, {wrong} runs with another result\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
