"""Tables and scores between the marks of documents."""

import re
from pathlib import Path

import pytest

from metabench import DataError
from metabench.cli import main
from metabench.leaderboard.build import build_leaderboard
from metabench.leaderboard.export.document_tables import fill_document
from metabench.leaderboard.records import load_leaderboard

ROOT = Path(__file__).parents[3]
DOCUMENTS = ["README.md", "leaderboard/README.md"]


@pytest.fixture(scope="module")
def published():
    return load_leaderboard(ROOT / "leaderboard" / "leaderboard.json")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_published_documents_say_what_the_leaderboard_says(published, name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "<!-- table: core cpu" in text
    assert fill_document(text, published) == text, "run `metabench leaderboard fill README.md leaderboard/README.md`"


def test_no_score_is_typed_by_hand():
    """Whatever looks like a score with its interval stands between marks."""
    for name in DOCUMENTS:
        text = (ROOT / name).read_text(encoding="utf-8")
        rest = re.sub(r"<!-- table: .*?<!-- end of table -->|<!-- score: .*?<!-- end -->", "", text, flags=re.DOTALL)
        assert re.findall(r"-?\d+\.\d \[-?\d", rest) == []


def test_every_row_of_a_board_is_there_with_its_version(published):
    filled = fill_document("<!-- table: boards 2 cpu -->\n<!-- end of table -->\n", published)
    rows = [line.strip("| ").split(" | ") for line in filled.splitlines() if re.match(r"\| [a-z-]+-v\d", line)]
    expected = {
        (f"{entry.suite}-v{entry.suite_version}", entry.label)
        for entry in published.entries
        if (entry.protocol, entry.preset, entry.dataset, entry.split) == ("2", "cpu", "medium", "test")
        and (entry.track, entry.shots) == ("few-shot", 3)
    }
    names = [(suite, name.removesuffix(" (privileged)").replace("\\", "")) for suite, name, *_ in rows]
    assert set(names) == expected
    assert len(names) == len(expected)


def test_what_stood_between_the_marks_is_replaced_and_nothing_else(published):
    score = "a <!-- score: point-robot few-shot blind cpu -->old<!-- end --> b [c]"
    filled = fill_document(score, published)
    assert re.fullmatch(r"a <!-- score: .*? -->-?\d+\.\d \[.*?\]<!-- end --> b \[c\]", filled)
    assert fill_document(filled, published) == filled


@pytest.mark.parametrize(
    ("mark", "problem"),
    [
        ("<!-- table: cores cpu 8 -->\n<!-- end of table -->", "expected 'table: core PRESET ROWS'"),
        ("<!-- table: core cpu -->\n<!-- end of table -->", "expected 'table: core PRESET ROWS'"),
        ("<!-- table: core long 8 -->\n<!-- end of table -->", "no table of the core set at preset 'long'"),
        ("<!-- table: core cpu eight -->\n<!-- end of table -->", "expected 'table: core PRESET ROWS'"),
        ("<!-- score: point-robot few-shot nobody cpu --><!-- end -->", "no such row is published"),
        ("<!-- score: point-robot --><!-- end -->", "expected SUITE TRACK METHOD PRESET"),
    ],
)
def test_a_mark_that_asks_for_nothing_known_is_named(published, mark, problem):
    with pytest.raises(DataError, match=re.escape(problem)):
        fill_document(mark, published)


def test_the_command_writes_files(make, write, tmp_path, capsys):
    write([make("bc", seed, level=20, suite="point-robot") for seed in (0, 1)], tmp_path / "records")
    build_leaderboard(tmp_path / "records", tmp_path / "built")
    path = tmp_path / "page.md"
    path.write_text("# here\n\n<!-- table: boards 2 cpu -->\n<!-- end of table -->\n")

    def fill(document):
        with pytest.raises(SystemExit) as ended:
            main(["leaderboard", "fill", f"{document}", "--leaderboard", f"{tmp_path / 'built' / 'leaderboard.json'}"])
        printed = capsys.readouterr()
        return ended.value.code, printed.out, printed.err

    assert fill(path) == (0, f"{path}: written\n", "")
    assert "| point-robot-v2 | bc | 2" in path.read_text()
    assert fill(path) == (0, f"{path}: as it was\n", "")
    status, _, said = fill(tmp_path / "missing.md")
    assert status == 2
    assert "missing.md: cannot be read" in said
