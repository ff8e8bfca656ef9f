"""Records of an archived suite version: scored by it, shown as archived, kept, and not added to."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from metabench.errors import DataError
from metabench.leaderboard.build import build_leaderboard
from metabench.leaderboard.compare.compare import compare_methods
from metabench.leaderboard.export.formats import export_entries
from metabench.leaderboard.scores.aggregate import aggregate
from metabench.leaderboard.scores.overall import make_overall_tables
from metabench.leaderboard.scores.quotas import SuiteShelf
from metabench.leaderboard.submission.add import add_records
from metabench.leaderboard.submission.check import check_records
from metabench.leaderboard.submission.verify import Verifier
from metabench.suites import Suite, datasets_folder, load_suite, read_suite
from metabench.suites.edit_toml import archive_suite_version

OLD = load_suite("point-robot").entry.version
NEW = OLD + 1


@pytest.fixture
def bumped(tmp_path: Path) -> Suite:
    """Point-Robot at its next version, in which an expert is said to return one less; the present one is archived."""
    folder = tmp_path / "suites/point-robot"
    shutil.copytree(datasets_folder() / "point-robot", folder)
    archive_suite_version(read_suite(folder))
    text = (folder / "suite.toml").read_text()
    first = read_suite(folder).tasks[0].reference.expert
    (folder / "suite.toml").write_text(text.replace(f"expert = {first!r}", f"expert = {first - 1!r}", 1))
    return read_suite(folder)


def old(make, *names, **changes):
    return make(*names, suite="point-robot", **changes)


def new(make, suite: Suite, **changes):
    return old(make, cell={"suite_version": NEW, "suite_digest": suite.digest}, **changes)


def test_records_keep_their_scores_and_are_marked(make, bumped):
    before = aggregate([old(make, seed=seed) for seed in range(3)])
    after = aggregate([old(make, seed=seed) for seed in range(3)], SuiteShelf([bumped]))
    assert [entry.model_copy(update={"archived": False}) for entry in after] == before
    assert all(entry.archived and entry.headline and entry.outdated is None for entry in after)
    assert not any(entry.archived for entry in aggregate([new(make, bumped)], SuiteShelf([bumped])))


def test_without_the_archive_they_are_shown_without_scores(make, bumped):
    shutil.rmtree(bumped.folder / "archive")
    entries = aggregate([old(make)], SuiteShelf([bumped]))
    assert all(not entry.archived and entry.headline is None and entry.mean_return for entry in entries)
    assert f"the suite here is point-robot-v{NEW}" in entries[0].outdated


@pytest.mark.slow
def test_versions_have_boards_and_summaries_of_their_own_and_only_the_present_one_is_in_the_overall_table(
    make, write, bumped, tmp_path
):
    records = [old(make, "bc"), old(make, "meta-dt", level=80), new(make, bumped, method="meta-dt")]
    write(records, tmp_path / "board/records")
    board = build_leaderboard(tmp_path / "board/records", tmp_path / "board", SuiteShelf([bumped]))
    assert [(suite.name, suite.version, suite.archived) for suite in board.suites] == [
        ("point-robot", OLD, True),
        ("point-robot", NEW, False),
    ]
    places = {
        (each.suite_version, standing.entry): standing.place
        for each in board.boards
        for standing in each.standings
        if (each.split, each.track) == ("test", "zero-shot")
    }
    assert sorted((version, place) for (version, _), place in places.items()) == [(OLD, 1), (OLD, 2), (NEW, 1)]
    assert {row.label for table in board.overall for row in table.rows} == {"meta-dt"}
    assert make_overall_tables(entry for entry in board.entries if entry.archived) == []
    written = json.loads((tmp_path / "board/leaderboard.json").read_text())
    assert {(entry["suite_version"], entry["archived"]) for entry in written["entries"]} == {(OLD, True), (NEW, False)}
    lines = export_entries(list(board.entries), "markdown")
    assert f"point-robot-v{OLD} (archived), medium-v1" in lines
    assert f"point-robot-v{NEW}, medium-v1" in lines


@pytest.mark.slow
def test_the_page_says_so_and_gives_no_command(make, write, bumped, tmp_path, browser):
    write([old(make, "bc"), new(make, bumped, method="meta-dt")], tmp_path / "records")
    build_leaderboard(tmp_path / "records", tmp_path, SuiteShelf([bumped]))
    browser.open(tmp_path / "index.html")
    assert browser.texts("#choice-suite option") == [f"point-robot-v{NEW}", f"point-robot-v{OLD} (archived)"]
    assert browser.texts("#board th .title, #board .name")[:1] == ["meta-dt"]
    assert not any("archived" in text for text in browser.texts("#about p"))
    browser.open(tmp_path / "index.html", f"#suite=point-robot-v{OLD}+%28archived%29")
    assert any(f"Version {OLD} of this suite is archived" in text for text in browser.texts("#about p"))
    assert browser.texts("#board .name") == ["bc"]
    browser.click("#board .name")
    browser.wait(".panel .strip")
    assert "Run this row again" not in browser.texts(".panel h3")
    assert "versions" in browser.texts(".panel dt")


@pytest.mark.slow
def test_published_records_pass_and_new_ones_are_refused(make, write, bumped, tmp_path):
    shelf, published = SuiteShelf([bumped]), tmp_path / "records"
    write([old(make, seed=0), new(make, bumped, seed=0)], published)
    assert list(check_records(published, shelf, published)) == []
    submission = tmp_path / "submission"
    write([old(make, seed=0), old(make, seed=1), new(make, bumped, seed=1)], submission)
    (finding,) = check_records(submission, shelf, published)
    assert finding.endswith(f"suite point-robot-v{OLD} is archived: new records are made with 'point-robot'")
    assert finding.startswith(f"{old(make, seed=1).path}: ")
    assert len(list(check_records(submission, shelf))) == 2
    changed = old(make, seed=0, level=70)
    write([changed], submission)
    assert len(list(check_records(submission, shelf, published))) == 2


def test_published_records_are_still_held_against_their_own_version(make, write, bumped, tmp_path):
    def cut(block):
        return block.model_copy(update={"rows": block.rows[1:]}) if block.track == "zero-shot" else block

    write([old(make, keep=cut)], tmp_path)
    found = list(check_records(tmp_path, SuiteShelf([bumped]), tmp_path))
    assert any("episodes missing" in line for line in found)


def test_a_version_that_was_not_archived_is_a_finding(make, write, bumped, tmp_path):
    shutil.rmtree(bumped.folder / "archive")
    write([old(make)], tmp_path / "records")
    (finding,) = check_records(tmp_path / "records", SuiteShelf([bumped]), tmp_path / "records")
    assert finding.endswith(f"suite_version: expected {NEW}, found {OLD}, which is not archived")


def test_add_takes_none_of_an_archived_version_but_knows_those_that_are_there(make, write, bumped, tmp_path):
    shelf, published = SuiteShelf([bumped]), tmp_path / "records"
    write([old(make, seed=0)], published)
    write([old(make, seed=0)], tmp_path / "again")
    assert len(add_records(tmp_path / "again", published, shelf=shelf).unchanged) == 1
    write([old(make, seed=1)], tmp_path / "results")
    addition = add_records(tmp_path / "results", published, shelf=shelf)
    assert "is archived" in addition.findings[0]
    assert not addition.added


def test_names_that_lead_out_of_the_folder_are_not_followed(make, bumped, tmp_path):
    record = old(make, cell={"preset": "../../../../escape"})
    path = tmp_path / "results/one.json"
    path.parent.mkdir()
    path.write_text(record.model_dump_json())
    outside = tmp_path / "published" / record.path
    outside.parent.mkdir(parents=True, exist_ok=True)
    outside.write_text(record.model_dump_json())
    found = list(check_records(path.parent, SuiteShelf([bumped]), tmp_path / "published"))
    assert any("is archived" in line for line in found)


def test_methods_are_compared_within_a_version_and_not_over_the_core_set(make, bumped):
    records = [old(make, method, seed) for method in ("bc", "meta-dt") for seed in range(2)]
    report = compare_methods(records, "meta-dt", "bc", shelf=SuiteShelf([bumped]))
    assert {each.suite_version for each in report.comparisons} == {OLD}
    assert not report.core


def test_an_archived_record_is_not_measured_again(make, write, bumped, tmp_path):
    (path,) = write([old(make)], tmp_path / "records")
    with pytest.raises(DataError, match=f"point-robot-v{OLD} is archived: its records are not measured again"):
        list(Verifier(isolate=False, shelf=SuiteShelf([bumped])).verify(path))
