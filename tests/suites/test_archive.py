"""Earlier versions of suites: kept, found by name, read, and never run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from metabench import DataError, MetabenchError, UnknownNameError, load_suite
from metabench.checks.suite import iterate_named_checks
from metabench.cli import main
from metabench.suites import datasets_folder, load_named_suite, read_suite
from metabench.suites.catalogue import describe_suite, list_suite_summaries
from metabench.suites.edit_toml import archive_suite_version


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of `tiny`, the only suite that there is."""
    shutil.copytree(datasets_folder() / "tiny", tmp_path / "datasets/tiny")
    monkeypatch.setattr("metabench.suites.folders.datasets_folder", lambda: tmp_path / "datasets")
    return tmp_path / "datasets/tiny"


@pytest.fixture
def bumped(folder: Path) -> Path:
    """The same at version 2, with another task, version 1 being archived."""
    archive_suite_version(read_suite(folder))
    toml = folder / "suite.toml"
    toml.write_text(toml.read_text().replace("parameters.goal = [0.3, -0.7]", "parameters.goal = [0.3, -0.8]"))
    return folder


def test_a_version_is_kept_byte_for_byte_and_the_next_one_begins(folder: Path) -> None:
    before = (folder / "suite.toml").read_bytes()
    kept = archive_suite_version(read_suite(folder))
    assert kept == folder / "archive/v1.toml"
    assert kept.read_bytes() == before
    assert (folder / "suite.toml").read_bytes() == before.replace(b"\nversion = 1\n", b"\nversion = 2\n")
    assert load_suite("tiny").identity == "tiny-v2"


def test_versions_are_found_by_name(bumped: Path) -> None:
    original = read_suite(datasets_folder() / "tiny")
    first, second = load_suite("tiny-v1"), load_suite("tiny-v2")
    assert (first.identity, first.archived, first.argument) == ("tiny-v1", True, "tiny-v1")
    assert (second.identity, second.archived) == ("tiny-v2", False)
    assert load_suite("tiny").entry == second.entry
    assert first.digest == original.digest != second.digest
    assert first.entry.task == original.entry.task
    assert first.normalised([2], [original.tasks[2].reference.expert]) == [100.0]
    assert load_named_suite("tiny", 1).entry == first.entry


def test_a_version_that_is_not_there_gets_one_line(bumped: Path) -> None:
    with pytest.raises(
        MetabenchError, match="suite tiny: version 3 is not archived; archived: v1; 'tiny' is at version 2"
    ):
        load_suite("tiny-v3")
    with pytest.raises(UnknownNameError, match="unknown suite 'tini-v1'; did you mean 'tiny'"):
        load_suite("tini-v1")


def test_nothing_is_run_in_an_archived_version(bumped: Path, capsys: pytest.CaptureFixture) -> None:
    suite = load_suite("tiny-v1")
    for use in (suite.environment, suite.teacher, suite.check_available, lambda: suite.spaces):
        with pytest.raises(MetabenchError, match=r"tiny-v1 is archived: .* nothing runs in it; to run, use 'tiny'"):
            use()
    for command in (
        ["run", "tiny-v1", "--dataset", "medium", "--method", "random", "--preset", "tiny"],
        ["data", "build", "tiny-v1"],
        ["describe", "tiny-v1"],
        ["suite", "archive", "tiny-v1"],
    ):
        with pytest.raises(SystemExit) as ended:
            main(command)
        printed = capsys.readouterr()
        assert ended.value.code in (1, 2)
        assert "tiny-v1 is archived" in printed.out + printed.err
    assert "tiny-v1 is archived" in (next(iterate_named_checks("tiny-v1")).problem or "")


def test_a_code_of_old_parameters_is_not_asked(bumped: Path) -> None:
    kept = bumped / "archive/v1.toml"
    kept.write_text(kept.read_text().replace('"point-robot"', '"point-robot-of-old"').replace("goal =", "place ="))
    assert load_suite("tiny-v1").tasks[2].parameters == {"place": [0.3, -0.7]}


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("version = 1", "version = 2", "expected tiny version 1, found tiny version 2"),
        ('name = "tiny"', 'name = "other"', "expected tiny version 1, found other version 1"),
        ("title =", "titel =", r"archive/v1\.toml: "),
        ("title =", "= 3", "not valid TOML"),
    ],
)
def test_a_broken_archive_is_named_and_hides_nothing(bumped: Path, before: str, after: str, problem: str) -> None:
    kept = bumped / "archive/v1.toml"
    kept.write_text(kept.read_text().replace(before, after, 1))
    with pytest.raises(DataError, match=problem):
        load_suite("tiny-v1")
    assert load_suite("tiny").identity == "tiny-v2"


def test_an_archived_version_is_never_overwritten(folder: Path) -> None:
    archive_suite_version(read_suite(folder))
    toml = folder / "suite.toml"
    toml.write_text(toml.read_text().replace("version = 2", "version = 1").replace("horizon = 20", "horizon = 21"))
    before = toml.read_bytes(), (folder / "archive/v1.toml").read_bytes()
    with pytest.raises(DataError, match=r"archive/v1\.toml: exists already, with different content"):
        archive_suite_version(read_suite(folder))
    assert (toml.read_bytes(), (folder / "archive/v1.toml").read_bytes()) == before


def test_what_cannot_be_edited_is_left_alone(folder: Path) -> None:
    toml = folder / "suite.toml"
    toml.write_text(toml.read_text().replace("\nversion = 1\n", '\n"version" = 1\n'))
    with pytest.raises(DataError, match="expected one line `version = 1` before the first table"):
        archive_suite_version(read_suite(folder))
    assert not (folder / "archive").exists()


def test_archived_versions_are_listed_and_described(bumped: Path, capsys: pytest.CaptureFixture) -> None:
    (summary,) = list_suite_summaries(internal=True)
    assert (summary.version, summary.archived) == (2, (1,))
    assert describe_suite(load_suite("tiny"))["archived_versions"] == [1]
    with pytest.raises(SystemExit):
        main(["list", "suites", "--all"])
    out = capsys.readouterr().out
    assert "tiny-v2" in out
    assert "v1 archived" in out
    with pytest.raises(SystemExit):
        main(["list", "suites", "--all", "--json"])
    assert json.loads(capsys.readouterr().out)["suites"][0]["archived"] == [1]


def test_the_verb_says_what_comes_next(folder: Path, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["suite", "archive", str(folder)])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert f"kept tiny-v1 as {folder / 'archive/v1.toml'}" in out
    assert f"next: metabench data references {folder} --write" in out
