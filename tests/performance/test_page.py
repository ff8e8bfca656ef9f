"""The page with 10,000 records: how long it takes to build, how large it is, when a reader sees the first table."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metabench.leaderboard.build import build_leaderboard
from metabench.runs.kept.record import Record, digest_of, make_record, read_record, write_record

PUBLISHED = Path(__file__).parents[2] / "leaderboard" / "records"
COUNT = 10_000
SEEDS = 5
TABLE_AIM = 2.0
"""Seconds from opening the page to its first table."""

CHANGE_AIM = 0.5
"""Seconds from choosing another track, or sorting, to the table and figure that show it."""

BUILD_AIM = 0.03
"""Seconds a record."""


def patterns() -> list[Record]:
    """One published record of the present protocol, of a method that predicts, too, for each suite that has one."""
    found = [sorted(folder.glob("medium/ridge-model/*/*.json.gz")) for folder in sorted(PUBLISHED.iterdir())]
    return [read_record(paths[0]) for paths in found if paths]


def multiplied(originals: list[Record], count: int) -> Iterator[Record]:
    """`count` records of made-up methods, `SEEDS` each, whose returns scatter around those of a real record."""
    generator = np.random.default_rng(0)
    for index in range(count):
        contender, seed = divmod(index, SEEDS)
        original = originals[contender % len(originals)].result
        method = f"method-{contender // len(originals):04d}"
        configuration = {**original.configuration, "variant": contender}
        shift = float(generator.normal(0, 0.3))
        blocks = []
        for block in original.blocks:
            spread = float(np.std([row.total_return for row in block.rows])) or 1.0
            moves = shift * spread + generator.normal(0, 0.1 * spread, len(block.rows))
            rows = tuple(
                row._replace(total_return=row.total_return + float(move))
                for row, move in zip(block.rows, moves, strict=True)
            )
            blocks.append(block.model_copy(update={"rows": rows}))
        cell = original.cell.model_copy(
            update={"method": method, "seed": seed, "config_digest": digest_of(configuration)}
        )
        result = original.model_copy(update={"cell": cell, "configuration": configuration, "blocks": tuple(blocks)})
        yield make_record(result, originals[contender % len(originals)].provenance)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `COUNT` records, to build the leaderboard in."""
    place = tmp_path_factory.mktemp("many")
    for record in multiplied(patterns(), COUNT):
        write_record(record, place / "records" / record.path)
    return place


def test_building(folder: Path, benchmark: Callable, report: Callable) -> None:
    board = benchmark.pedantic(build_leaderboard, (folder / "records", folder), rounds=1)
    assert len(board.sources) == COUNT
    seconds = benchmark.stats.stats.median
    report(
        f"leaderboard of {COUNT} records, {len(board.entries)} entries: built in {seconds:.0f} s, "
        f"{seconds / COUNT / BUILD_AIM:.2f} of the {BUILD_AIM * COUNT:.0f} s aimed at"
    )


def test_opening(folder: Path, browser: Any, benchmark: Callable, report: Callable) -> None:
    page = folder / "index.html"
    assert page.exists(), "the page is built by test_building"

    def open_page() -> None:
        browser.driver.get(page.as_uri())
        assert len(browser.texts("#board tr.entry")) == COUNT // SEEDS // len(patterns())

    benchmark.pedantic(open_page, setup=lambda: browser.driver.get("about:blank"), rounds=5)
    seconds = benchmark.stats.stats.median
    report(
        f"page of {COUNT} records, {page.stat().st_size / 1e6:.1f} MB: first table after {seconds:.2f} s, "
        f"{seconds / TABLE_AIM:.2f} of the {TABLE_AIM} s aimed at"
    )
    for what, script in {
        "another track": "document.querySelector('input[value=\"zero-shot\"]').click()",
        "sorting": "document.querySelector('[data-sort=\"method\"]').click()",
        "task by task": "document.querySelector('input[value=tasks]').click()",
    }.items():
        began = time.perf_counter()
        browser.run(f"{script}; document.body.getBoundingClientRect()")
        seconds = time.perf_counter() - began
        report(f"{what}: {seconds:.2f} s, {seconds / CHANGE_AIM:.2f} of the {CHANGE_AIM} s aimed at")
