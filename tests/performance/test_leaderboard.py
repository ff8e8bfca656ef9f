"""Checking 1,000 records: schema, digest, quotas, limits, and rows that another seed has as well."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from metabench.evaluation.rows import Block, Collection, Row
from metabench.leaderboard.submission.check import check_records
from metabench.runs.kept.record import make_record, read_record, write_record

PUBLISHED = Path(__file__).parents[2] / "leaderboard" / "records"
COUNT = 1_000
AIM = 20.0
"""Seconds."""


def multiplied(pattern: Path, folder: Path) -> None:
    """`COUNT` seeds of one published record, each row's return a little lower, by its own random number."""
    record = read_record(pattern)
    result = record.result
    for seed in range(COUNT):
        generator = np.random.default_rng(seed)

        def lower(part: Block | Collection, generator: np.random.Generator = generator) -> dict[str, tuple[Row, ...]]:
            less = generator.uniform(0, 1e-3, len(part.rows))
            rows = zip(part.rows, less, strict=True)
            return {"rows": tuple(row._replace(total_return=row.total_return - float(each)) for row, each in rows)}

        changed = result.model_copy(
            update={
                "cell": result.cell.model_copy(update={"seed": seed}),
                "blocks": tuple(block.model_copy(update=lower(block)) for block in result.blocks),
                "collections": tuple(part.model_copy(update=lower(part)) for part in result.collections),
            }
        )
        write_record(make_record(changed, record.provenance), folder / f"{seed}.json.gz")


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
