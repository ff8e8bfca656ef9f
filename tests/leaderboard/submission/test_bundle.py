"""From a results folder to a submission, and from there into a leaderboard."""

import shutil

import pytest

from metabench.errors import DataError, UnknownNameError
from metabench.evaluation.protocol import PROTOCOL
from metabench.leaderboard.scores.quotas import SuiteShelf
from metabench.leaderboard.submission.add import add_records
from metabench.leaderboard.submission.bundle import make_submission
from metabench.leaderboard.submission.check import check_records
from metabench.runs.kept.record import read_record, write_record
from metabench.runs.kept.saved_policy import read_training


@pytest.fixture
def shelf(public_tiny):
    return SuiteShelf([public_tiny])


@pytest.fixture
def submission(trained, card, tmp_path, shelf):
    made = make_submission(
        trained / "results", [card("small")], tmp_path / "submission", with_policies=True, shelf=shelf
    )
    assert made.findings == ()
    assert (made.records, made.left_out, made.missing) == (2, ("memorising",), ())
    return tmp_path / "submission"


@pytest.mark.slow
def test_a_submission_holds_records_card_policies_and_scores(submission, real):
    record = read_record(real("small", 1))
    place = record.path
    assert (submission / "records" / place).read_bytes() == real("small", 1).read_bytes()
    assert (submission / "methods" / "small.toml").exists()
    assert read_training(submission / "policies" / record.folder).cell == record.result.cell
    text = (submission / "README.md").read_text()
    assert "| authors | Ada L., Alan T. |" in text
    assert f"| small | tiny | medium | tiny | {PROTOCOL} | test | few-shot | 3 | 2 |" in text


@pytest.mark.slow
def test_it_is_checked_and_added_with_its_card(submission, tmp_path, shelf, card):
    assert list(check_records(submission, shelf)) == []
    board = tmp_path / "board" / "records"
    addition = add_records(submission, board, shelf=shelf)
    assert (len(addition.added), addition.cards, addition.findings) == (2, ("small",), ())
    assert list(check_records(board, shelf)) == []
    again = add_records(submission, board, shelf=shelf)
    assert (again.added, len(again.unchanged), again.cards, again.findings) == ((), 2, (), ())
    (submission / "methods" / "small.toml").write_bytes(card("small", prior="much").read_bytes())
    refused = add_records(submission, board, shelf=shelf)
    assert "another card of this method is published; --replace" in refused.findings[0]
    assert add_records(submission, board, shelf=shelf, replace=True).cards == ("small",)


def test_tables_must_be_what_the_records_give(submission, shelf):
    path = submission / "README.md"
    text = path.read_text()
    line = next(line for line in text.splitlines() if "| zero-shot | 0 |" in line)
    path.write_text(text.replace(line, line.replace("| 2 |", "| 99 |")))
    assert list(check_records(submission, shelf)) == ["README.md: its tables are not what the records and cards give"]
    path.write_text("# written by hand\n")
    assert list(check_records(submission, shelf)) == []


def test_what_is_not_there_is_said_and_no_finding(trained, card, tmp_path, shelf):
    made = make_submission(trained / "results", [card("memorising")], tmp_path / "out", shelf=shelf)
    assert made.findings == ()
    assert "memorising on tiny medium, test few-shot (3 shots): seed 0: not evaluated" in made.missing
    assert "- memorising on tiny medium, test few-shot (3 shots): seed 0: not evaluated" in (
        tmp_path / "out" / "README.md"
    ).read_text().replace("\\", "")
    assert not (tmp_path / "out" / "policies").exists()


def test_findings_are_given_and_nothing_is_written(trained, real, card, seal, tmp_path, shelf):
    record = read_record(real("small", 0))
    results = tmp_path / "results"
    write_record(seal(record, privileged=True), results / "0.json")
    made = make_submission(results, [card("small")], tmp_path / "out", shelf=shelf)
    assert made.findings == (
        f"{results / '0.json'}: privileged: told the tasks, or trained in the simulator; such rows are not submitted",
    )
    block = record.result.blocks[0].model_copy(update={"rows": record.result.blocks[0].rows[1:]})
    write_record(seal(record, blocks=(block, *record.result.blocks[1:])), results / "0.json")
    made = make_submission(results, [card("small")], tmp_path / "out", shelf=shelf)
    assert any("1 of 2 episodes missing, task 2" in line for line in made.findings)
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == []


def test_without_a_card_only_built_in_methods_are_submitted(trained, tmp_path, shelf):
    made = make_submission(trained / "results", [], tmp_path / "out", shelf=shelf)
    assert sorted(line.partition("method ")[2] for line in made.findings) == [
        f"{name!r} has no card; metabench leaderboard new-card writes one to fill in"
        for name in ("memorising", "small")
    ]


def test_names_and_folders_that_do_not_fit_are_named(trained, card, tmp_path, shelf, real):
    with pytest.raises(UnknownNameError, match="did you mean 'small'"):
        make_submission(trained / "results", [card("smal")], tmp_path / "out", shelf=shelf)
    with pytest.raises(DataError, match="its policy is not at"):
        make_submission(
            trained / "results",
            [card("small")],
            tmp_path / "out",
            with_policies=True,
            policies=tmp_path / "nowhere",
            shelf=shelf,
        )
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(DataError, match="full: exists already"):
        make_submission(trained / "results", [card("small")], tmp_path / "full", shelf=shelf)
    with pytest.raises(DataError, match="holds no record"):
        make_submission(tmp_path / "full", [card("small")], tmp_path / "out", shelf=shelf)
    shutil.copy(real("small", 0), tmp_path / "full" / "a.json")
    shutil.copy(real("small", 0), tmp_path / "full" / "b.json")
    with pytest.raises(DataError, match=r"b.json: another record belongs in the same place"):
        make_submission(tmp_path / "full", [card("small")], tmp_path / "out", shelf=shelf)


def test_names_in_records_lead_nowhere(trained, real, card, seal, tmp_path, shelf):
    record = read_record(real("small", 0))
    cell = record.result.cell.model_copy(update={"preset": "../../../../../escape"})
    write_record(seal(record, cell=cell), tmp_path / "results" / "0.json")
    with pytest.raises(DataError, match="lead out of the folder"):
        make_submission(tmp_path / "results", [card("small")], tmp_path / "out", shelf=shelf)
    assert not (tmp_path / "out").exists()
