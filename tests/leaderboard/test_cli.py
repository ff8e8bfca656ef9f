"""The verbs, as a user types them."""

import json

import pytest
from typer.testing import CliRunner

from metabench.cli import main
from metabench.cli.leaderboard import app


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


@pytest.mark.slow
def test_from_results_to_page(run, make, write, tmp_path):
    write([make("bc", seed, suite="point-robot") for seed in range(2)], tmp_path / "results")
    added = run("add", "results")
    assert (added.exit_code, added.output) == (0, "2 added to leaderboard/records, 0 there already\n")
    assert run("check").output == "2 records, nothing found\n"
    built = run("build")
    assert built.exit_code == 0
    assert built.output == "2 records, 1 rows -> leaderboard/index.html\n"
    assert (tmp_path / "leaderboard" / "leaderboard.json").exists()


def test_check_prints_a_line_a_finding_and_fails(run, make, write, tmp_path):
    write([make("bc", seed) for seed in range(2)], tmp_path / "leaderboard/records")
    checked = run("check")
    assert checked.exit_code == 1
    assert len(checked.output.splitlines()) == 2
    assert all("is for tests" in line for line in checked.output.splitlines())


def test_add_refuses_with_the_reason(run, make, write, tmp_path):
    write([make("bc")], tmp_path / "results")
    refused = run("add", "results")
    assert refused.exit_code == 1
    assert "is for tests and not part of leaderboards" in refused.output
    assert not (tmp_path / "leaderboard").exists()


def test_several_folders_are_read_as_one_and_may_be_called_results(run, make, write, tmp_path, capsys):
    own, published = make("bc", suite="point-robot"), make("meta-dt", suite="point-robot")
    write([own], tmp_path / "mine")
    write([own, published], tmp_path / "theirs")  # an equal record counts once
    printed = run("export", "--results", "mine", "--records", "theirs", "--split", "test", "--track", "zero-shot")
    assert [printed.output.count(f"| {name} |") for name in ("bc", "meta-dt")] == [1, 1]
    with pytest.raises(SystemExit) as ended:
        main(["compare", "bc", "meta-dt", "--records", "mine", "--results", "theirs", "-f", "json"])
    assert not ended.value.code
    assert json.loads(capsys.readouterr().out)["comparisons"]
    assert run("build", "--results", "theirs", "-o", "page").output == "2 records, 2 rows -> page/index.html\n"


def test_export_prints_or_writes(run, make, write, tmp_path):
    write([make("bc", seed) for seed in range(2)], tmp_path / "leaderboard/records")
    printed = run("export", "--format", "markdown", "--split", "test", "--track", "zero-shot")
    assert printed.output.count("\n| (1) | bc |") == 1
    assert run("export", "--format", "csv", "--output", "out.csv").output == ""
    assert (tmp_path / "out.csv").read_text().startswith("place,rank_best,")
