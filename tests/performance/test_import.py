"""Importing a large D4RL file, in a process of its own whose memory is measured."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

STEPS, OBSERVATION, ACTION, EPISODE = 1_000_000, 17, 6, 1000

SECONDS, BYTES = 60, 2 * 2**30
"""What an import may take at most."""

IMPORT = """
import json, resource, sys, time
from pathlib import Path
began = time.perf_counter()
from metabench.data.foreign.d4rl import import_d4rl
from metabench.data.foreign.options import ImportOptions
imported = import_d4rl(Path(sys.argv[1]), 0, ImportOptions("walker-d4rl"))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps([imported.steps, time.perf_counter() - began, peak]))
"""


@pytest.mark.parametrize("recorded", [True, False], ids=["next", "no-next"])
@pytest.mark.parametrize("compression", [None, "gzip"])
def test_importing_a_million_steps(report: Callable, tmp_path: Path, compression: str | None, recorded: bool) -> None:
    generator = np.random.default_rng(0)
    seen = generator.standard_normal((STEPS + 1, OBSERVATION), np.float32)
    rows = np.arange(STEPS)
    columns = {
        "observations": seen[:-1],
        "actions": generator.uniform(-1, 1, (STEPS, ACTION)).astype(np.float32),
        "rewards": generator.standard_normal(STEPS, np.float32),
        "terminals": rows % 777 == 776,
        "timeouts": rows % EPISODE == EPISODE - 1,
    }
    if recorded:
        columns["next_observations"] = seen[1:]
    path = tmp_path / "walker.hdf5"
    with h5py.File(path, "w") as file:
        for key, values in columns.items():
            file.create_dataset(key, data=values, compression=compression)
    done = subprocess.run([sys.executable, "-c", IMPORT, path], capture_output=True, text=True, check=True)
    steps, seconds, peak = json.loads(done.stdout)
    unknown = columns["timeouts"] & ~columns["terminals"]
    assert steps == STEPS - (0 if recorded else unknown.sum())
    report(
        f"importing a D4RL file of {STEPS:,} steps ({path.stat().st_size / 1e6:.0f} MB, {compression or 'plain'}"
        f"{'' if recorded else ', no next_observations'}): {seconds:.1f} s, {seconds / SECONDS:.2f} of the {SECONDS} s "
        f"allowed, {peak / 1e6:.0f} MB of memory"
    )
    assert peak < BYTES
    assert seconds < SECONDS
