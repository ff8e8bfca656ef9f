"""Names that records bring along: whatever they are, they open no file and make no traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metabench.cli import main
from metabench.errors import MetabenchError
from metabench.leaderboard.scores.quotas import SuiteShelf
from metabench.leaderboard.submission.add import add_records
from metabench.leaderboard.submission.check import check_records
from metabench.leaderboard.submission.verify import Verifier
from metabench.report.report import write_report
from metabench.runs.execute_cell import execute_cell
from metabench.runs.kept.record import digest_of
from metabench.runs.kept.record_file import read_json
from metabench.runs.plan import plan_cells
from metabench.runs.request import RunRequest
from metabench.runs.settings import Settings
from metabench.suites import list_suites, load_named_suite, load_suite

pytestmark = pytest.mark.slow


ODD = ("tiny\0", "a/b\0", "\0", "", ".", "..", "/", "../tiny", "/etc", "a" * 5000, "a/" * 3000, "\ud800", "~", "tiny\n")
NAMES = st.sampled_from(ODD) | st.text(max_size=30) | st.text(alphabet="/.\0~tiny", max_size=12)
"""Also what looks like a path."""


@pytest.fixture(scope="module")
def record(_tiny_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The content of a record."""
    results = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("METABENCH_HOME", str(_tiny_folders / "home"))
        monkeypatch.setenv("MINARI_DATASETS_PATH", str(_tiny_folders / "minari"))
        (cell,) = plan_cells(RunRequest(["tiny"], ["medium"], ["random"], preset="tiny", results=results))
        execute_cell(cell, Settings(), lambda *progress: None)
    return json.loads(read_json(cell.record_path))


def renamed(record: dict, key: str, name: str, folder: Path) -> Path:
    """The record with another name in its cell, sealed anew, in a folder of its own."""
    result = {**record["result"], "cell": {**record["result"]["cell"], key: name}}
    folder.mkdir(exist_ok=True)
    path = folder / "0.json"
    path.write_text(json.dumps({**record, "result": result, "digest": digest_of(result)}))
    return path


@pytest.mark.slow
@settings(max_examples=60)
@given(name=NAMES)
def test_no_name_makes_a_suite_raise_anything_else(name: str) -> None:
    for load in (load_suite, load_named_suite):
        if load is load_named_suite or "/" in name:
            with pytest.raises(MetabenchError):
                assert load(name).name in list_suites()
                raise MetabenchError("it is one")
    assert isinstance(SuiteShelf().find_quotas(name), str) or name in list_suites()


def test_a_name_with_slashes_is_no_folder_where_a_record_says_it(tmp_path: Path) -> None:
    folder = str(load_suite("tiny").folder)
    assert load_suite(folder).name == "tiny"
    with pytest.raises(MetabenchError, match="unknown suite"):
        load_named_suite(folder)


@pytest.mark.slow
@pytest.mark.parametrize("key", ["suite", "dataset", "method", "preset"])
def test_records_with_odd_names_are_refused_in_a_line(record, key, tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("odd")

    @settings(max_examples=10)
    @given(name=NAMES)
    def refused(name: str) -> None:
        path = renamed(record, key, name, folder / "records")
        told = list(check_records(folder / "records"))
        told += add_records(path, folder / "published").findings
        for refuse in (lambda: write_report(path, folder / "report.html"), lambda: list(Verifier().verify(path))):
            try:
                refuse()
            except MetabenchError as error:
                told.append(str(error))
        assert told
        assert not (folder / "published").exists()

    refused()


@pytest.mark.parametrize("verb", ["leaderboard check", "leaderboard add", "report", "leaderboard verify"])
@pytest.mark.parametrize("name", ["cartpole\0", "cart/pole\0", "../tiny"])
def test_commands_refuse_them_in_a_line(record, verb, name, tmp_path, capsys) -> None:
    path = renamed(record, "suite", name, tmp_path / "records")
    target = path.parent if verb == "leaderboard check" else path
    options = {"report": ["-o", str(tmp_path / "page.html")], "leaderboard add": ["--records", str(tmp_path / "there")]}
    with pytest.raises(SystemExit) as ended:
        main([*verb.split(), str(target), *options.get(verb, [])])
    printed = capsys.readouterr()
    assert "Traceback" not in printed.out + printed.err
    assert ended.value.code in (0, 1, 2) if verb == "report" else ended.value.code in (1, 2)
