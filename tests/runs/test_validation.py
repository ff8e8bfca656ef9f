"""Acting in validation tasks, to choose between configurations: counted, kept apart, never ranked or published."""

from pathlib import Path

import pytest

import metabench
from metabench.errors import DataError, MetabenchError, UnknownNameError
from metabench.leaderboard.build import build_leaderboard
from metabench.leaderboard.scores.quotas import SuiteShelf
from metabench.leaderboard.scores.standings import make_boards
from metabench.leaderboard.submission.add import add_records
from metabench.leaderboard.submission.check import check_records
from metabench.report import write_report
from metabench.runs.plan import plan_cells
from metabench.runs.request import RunRequest
from metabench.runs.status import inspect_results

pytestmark = pytest.mark.slow


METHOD = f"{Path(__file__).with_name('small_methods.py')}:Small"


def run(place: Path, **options) -> metabench.Record:
    (record,) = metabench.run("tiny", "medium", ["random"], preset="tiny", results=place / "kept", **options)
    return record


def test_steps_in_validation_tasks_are_counted_as_development_steps(place: Path) -> None:
    record, suite = run(place, splits=["validation"]), metabench.load_suite("tiny")
    blocks, counts = record.result.blocks, record.result.counts
    shots = [("zero-shot", 0), ("few-shot", 1), ("few-shot", 3), ("few-shot", 5), ("logged-shot", 3)]
    assert [(block.split, block.track, block.shots) for block in blocks] == [("validation", *each) for each in shots]
    tasks = {task.id for task in suite.split("train") if task.validation}
    assert {row.task for block in blocks for row in block.rows} == tasks
    collected = [row for part in record.result.collections for row in part.rows]
    steps = sum(row.length for rows in (*(block.rows for block in blocks), collected) for row in rows)
    assert counts.model_dump(include={"scored_steps", "support_steps", "development_steps"}) == {
        "scored_steps": 0,
        "support_steps": 0,
        "development_steps": steps,
    }
    assert run(place).result.counts.development_steps == 0


def test_its_record_lies_apart_and_the_training_serves_both(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tuned = run(place, splits=["validation"])
    trained = []
    method = type(metabench.load_method("random"))
    monkeypatch.setattr(method, "train", lambda *arguments: trained.append(arguments))
    ranked = run(place)
    assert trained == []
    assert ranked.result.cell == tuned.result.cell
    paths = [place / "kept" / "validation" / tuned.result.cell.path, place / "kept" / ranked.result.cell.path]
    assert all(path.exists() for path in paths)
    assert {block.split for block in ranked.result.blocks} == {"test", "test-far"}
    for splits, record in ((["validation"], tuned), (None, ranked)):  # finished: read, not made
        assert run(place, splits=splits) == record


def test_it_has_scores_and_no_place(place: Path) -> None:
    entries = metabench.aggregate([run(place), run(place, splits=["validation"])])
    scored = [entry for entry in entries if entry.split == "validation"]
    assert [entry.shots for entry in scored] == [0, 1, 3, 5, 3]  # in the protocol's order of tracks
    assert all(entry.headline is not None and not entry.missing for entry in scored)
    places = {board.split: [each.place for each in board.standings] for board in make_boards(entries)}
    assert places == {"test": [1], "test-far": [1], "validation": [None]}


def test_it_is_never_published(place: Path) -> None:
    record = run(place, splits=["validation"])
    shelf = SuiteShelf([metabench.load_suite("tiny")])
    with pytest.raises(DataError, match="holds no record"):  # others beside them could be added
        add_records(place / "kept", place / "published", shelf=shelf)
    addition = add_records(place / "kept" / "validation", place / "published", shelf=shelf)
    assert addition.added == ()
    assert any(": split validation: expected test or test-far" in finding for finding in addition.findings)
    assert not (place / "published").exists()
    found = [each for each in check_records(place / "kept" / "validation", shelf) if "split" in each]
    assert found == [
        f"{record.result.cell.path}: split validation: expected test or test-far; acting in validation tasks is for "
        "choosing between configurations and never ranked"
    ]
    for folder in (place / "kept", place / "kept" / "validation"):
        board = build_leaderboard(folder, place / "built", shelf)
        assert (board.entries, board.sources) == ((), ())


def test_its_cells_are_shown_apart(place: Path) -> None:
    run(place, splits=["validation"])
    run(place)
    labels = [cell.label for cell in inspect_results(place / "kept") if cell.state == "done"]
    assert sorted(labels) == ["tiny medium (validation) random tiny seed 0", "tiny medium random tiny seed 0"]


def test_splits_are_named_right_and_validation_alone(place: Path) -> None:
    def plan(**options):
        return plan_cells(RunRequest(["tiny"], ["medium"], [METHOD], results=place, **options))

    (cell,) = plan(splits=["test-far"], tracks=["zero-shot"])
    assert cell.tracks == (("test-far", "zero-shot"),)
    with pytest.raises(MetabenchError, match="'validation' is run alone: records of it are never ranked"):
        plan(splits=["validation", "test"])
    with pytest.raises(UnknownNameError, match="unknown split of suite tiny 'validate'; did you mean 'validation'"):
        plan(splits=["validate"])
    with pytest.raises(UnknownNameError, match="unknown split of suite cheetah-dir 'validation'"):
        plan_cells(RunRequest(["cheetah-dir"], ["medium"], ["random"], results=place, splits=["validation"]))


def test_every_run_replays_lanes_and_says_what_each_rollout_cost(place: Path) -> None:
    record = run(place)
    counts, stages = record.result.counts, record.provenance.stages
    assert counts.replayed_lanes == 1  # the suite has one test task
    assert counts.replayed_steps == 5  # a quarter of its horizon
    assert len([stage for stage in stages if not stage.scored]) == 5 + 3
    assert [(stage.split, stage.track, stage.shots) for stage in stages if stage.scored] == [
        (block.split, block.track, block.shots) for block in record.result.blocks
    ]
    assert sum(stage.act_calls for stage in stages) == counts.act_calls == 20 * len(stages)
    assert sum(stage.adapt_calls for stage in stages) == counts.adapt_calls
    assert sum(stage.seconds_acting for stage in stages) == pytest.approx(record.provenance.seconds_acting)
    assert all(stage.episodes == 2 for stage in stages)


def test_its_report_says_what_it_is(place: Path, tmp_path: Path) -> None:
    run(place, splits=["validation"])
    (path,) = (place / "kept" / "validation").rglob("*.json.gz")
    page = write_report(path, tmp_path / "report.html").path.read_text(encoding="utf-8")
    assert "--split validation" in page
    assert "in validation tasks" in page
