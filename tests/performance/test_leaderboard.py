"""Checking 1,000 records: schema, digest, quotas, limits, and rows that another seed has as well."""

import gzip
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from metabench.leaderboard.submission.check import check_records
from metabench.runs.kept.record import digest_of

PUBLISHED = Path(__file__).parents[2] / "leaderboard" / "records"
COUNT = 1_000
AIM = 20.0
"""Seconds."""


def multiplied(pattern: Path, folder: Path) -> None:
    """`COUNT` seeds of one published record, each row's return a little lower, by its own random number."""
    content = json.loads(gzip.decompress(pattern.read_bytes()))
    result = content["result"]
    parts = [*result["blocks"], *result["collections"]]
    original = [[row[3] for row in part["rows"]] for part in parts]
    for seed in range(COUNT):
        generator = np.random.default_rng(seed)
        result["cell"]["seed"] = seed
        for part, returns in zip(parts, original, strict=True):
            for row, value, less in zip(part["rows"], returns, generator.uniform(0, 1e-3, len(returns)), strict=True):
                row[3] = value - float(less)
        content["digest"] = digest_of(result)
        text = json.dumps(content, separators=(",", ":"))
        (folder / f"{seed}.json.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


def test_checking_a_thousand_records(report: Callable, tmp_path: Path) -> None:
    pattern = min(PUBLISHED.glob("point-robot-v2/medium/ridge-model/*/*.json.gz"))  # of all suites it has the most rows
    folder = tmp_path / pattern.parent.relative_to(PUBLISHED)
    folder.mkdir(parents=True)
    multiplied(pattern, folder)
    began, worked = time.perf_counter(), time.process_time()
    findings = list(check_records(tmp_path))
    seconds, worked = time.perf_counter() - began, time.process_time() - worked
    report(
        f"leaderboard check of {COUNT:,} records ({pattern.stat().st_size / 1e3:.0f} kB each): {seconds:.1f} s, of it "
        f"{worked:.1f} s at work; {seconds / AIM:.2f} of the {AIM:.0f} s allowed"
    )
    assert findings == []
    assert worked < AIM  # on a busy core the wall clock says nothing
