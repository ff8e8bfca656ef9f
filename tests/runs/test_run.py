"""`metabench.run`, and what else a notebook does with records, on public names."""

from pathlib import Path

import numpy as np
import pytest

import metabench
from metabench.errors import MetabenchError, UnknownNameError

pytestmark = pytest.mark.slow


METHODS = Path(__file__).with_name("small_methods.py")


def test_records_come_back_and_are_kept(place: Path) -> None:
    told: list[str] = []

    def run() -> list:
        settings = {"preset": "tiny", "seeds": (0, 4), "threads": 1, "results": place / "kept"}
        return metabench.run("tiny", "medium", ["random", "bc"], progress=told.append, **settings)

    records = run()
    cells = [record.result.cell for record in records]
    assert {record.provenance.threads for record in records} == {1}
    assert [(cell.method, cell.seed) for cell in cells] == [("random", 0), ("random", 4), ("bc", 0), ("bc", 4)]
    assert told == [f"tiny medium {cell.method} seed {cell.seed}: finished" for cell in cells]
    assert sorted(record.digest for record in metabench.load_records(place / "kept")) == sorted(
        record.digest for record in records
    )
    assert run() == records  # provenance included: they were read, not made
    assert len(told) == 4


def test_scores_and_entries_are_those_of_the_rows(place: Path) -> None:
    """The headline is the mean over seeds of the mean over tasks of normalised returns."""
    records = metabench.run("tiny", "medium", ["random"], preset="tiny", seeds=(0, 1, 2), results=place / "kept")
    suite = metabench.load_suite("tiny")
    expected = []
    for record in records:
        (block,) = [block for block in record.result.blocks if (block.split, block.track) == ("test", "zero-shot")]
        returns = [row.total_return for row in block.rows]
        scores: dict[int, list[float]] = {}
        for row in block.rows:
            scores.setdefault(row.task, []).extend(suite.normalised([row.task], [row.total_return]))
        expected.append(np.mean([np.clip(np.mean(each), -100, 200) for each in scores.values()]))
        assert metabench.score_rows(block.rows, suite).mean_return == pytest.approx(np.mean(returns))
    (entry,) = [each for each in metabench.aggregate(records) if (each.split, each.track) == ("test", "zero-shot")]
    assert [seed.headline for seed in entry.seeds] == pytest.approx(expected, abs=1e-6)
    assert entry.headline is not None
    assert entry.headline.mean == pytest.approx(np.mean(expected), abs=1e-6)


def test_a_failed_cell_is_named_after_the_others_ran(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIL", "1")
    methods = [f"{METHODS}:Failing", "random"]
    with pytest.raises(
        MetabenchError, match=r"tiny medium failing seed 0: failed: .*the loss went away; see .*failed.js"
    ):
        metabench.run("tiny", "medium", methods, preset="tiny", threads=1, results=place / "kept")
    assert [record.result.cell.method for record in metabench.load_records(place / "kept")] == ["random"]
    monkeypatch.delenv("FAIL")
    assert len(metabench.run("tiny", "medium", methods, preset="tiny", threads=1, results=place / "kept")) == 2


def test_names_are_checked_first(place: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown method 'rnadom'; did you mean 'random'"):
        metabench.run("tiny", "medium", ["bc", "rnadom"], preset="tiny", results=place / "kept")
    assert not (place / "kept").exists()
