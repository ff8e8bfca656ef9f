"""The verbs of a submission, as an outsider and a maintainer type them."""

from pathlib import Path

import pytest

from metabench.cli import main

MEMORISING = f"{Path(__file__).with_name('memorising_method.py')}:Memorising"


@pytest.fixture
def run(trained, public_tiny, tmp_path, monkeypatch, capsys):
    """`run("submit", ...)` gives exit status and what was printed; suites are those beside `public_tiny`."""
    monkeypatch.setattr("metabench.suites.folders.datasets_folder", lambda: public_tiny.folder.parent)
    monkeypatch.chdir(tmp_path)

    def command(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main(["leaderboard", *map(str, arguments)])
        printed = capsys.readouterr()
        return int(caught.value.code or 0), printed.out + printed.err

    return command


@pytest.mark.slow
def test_from_a_results_folder_to_a_leaderboard(run, trained, tmp_path):
    status, printed = run("new-card", "small")
    assert (status, printed) == (
        0,
        "card.toml: fill it in, then: metabench leaderboard submit RESULTS --card card.toml --out FOLDER\n",
    )
    submit = ("submit", trained / "results", "--card", "card.toml", "--out", "mine", "--checkpoints")
    assert run(*submit) == (2, "error: card.toml: summary: still to be written\n")
    path = tmp_path / "card.toml"
    path.write_text(path.read_text().replace("TO DO", "none"))
    assert run(*submit) == (0, "left out, because they have no card here: memorising\n2 records -> mine\n")
    assert run("check", "mine") == (0, "2 records, nothing found\n")
    assert run("add", "mine") == (0, "with the card of small\n2 added to leaderboard/records, 0 there already\n")
    assert run("check") == (0, "2 records, nothing found\n")
    assert run(*submit) == (2, "error: mine: exists already; expected a new folder\n")
    assert run("new-card", "other")[1] == "error: card.toml: exists already; --output names another file\n"


def test_findings_end_a_submission_with_status_1(run, trained):
    status, printed = run("submit", trained / "results", "--out", "mine")
    assert status == 1
    assert all("has no card; metabench leaderboard new-card writes one" in line for line in printed.splitlines())


def test_verification_says_what_it_found_and_why(run, real):
    status, printed = run("verify", real("memorising", 0), "--method", MEMORISING, "--no-isolate")
    assert status == 0
    rule, *lines = printed.splitlines()
    assert rule == (
        f"{real('memorising', 0)}: saved policy: rows must be equal, as machine, threads and versions are those of the "
        "record"
    )
    assert lines == [
        "  agrees   test zero-shot: 2 rows equal",
        "  agrees   test-far zero-shot: 2 rows equal",
        "  agrees   lanes: 2 lanes acted again in other company, 40 actions equal",
    ]


@pytest.mark.slow
def test_verification_in_fresh_tasks_fails_a_method_that_knows_the_published_one(run, real):
    status, printed = run("verify", real("memorising", 0), "--method", MEMORISING, "--no-isolate", "--fresh-tasks", "5")
    assert status == 1
    assert printed.splitlines()[-1].startswith("  DIFFERS  test zero-shot, 20 fresh tasks: published ")
    assert "unknown method 'small': not installed; --method" in run("verify", real("small", 0), "--no-isolate")[1]
