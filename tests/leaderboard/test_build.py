"""The built files: schemas, determinism, what they hold."""

import csv
import json
import re

import jsonschema
import pytest

from metabench.errors import DataError
from metabench.leaderboard.build import build_leaderboard
from metabench.leaderboard.page.page import embed_json
from metabench.runs.kept.record_file import read_json


@pytest.fixture(scope="module")
def built(make, write, tmp_path_factory):
    folder = tmp_path_factory.mktemp("leaderboard")
    records = [make(method, seed, level=level) for method, level in (("bc", 20), ("meta-dt", 60)) for seed in (0, 1)]
    write([*records, make("teacher", 0, level=100, privileged=True)], folder / "records")
    return folder, build_leaderboard(folder / "records", folder)


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "records" not in path.parts
    }


def test_leaderboard_and_records_follow_their_published_schemas(built):
    folder, _ = built
    schema = json.loads((folder / "leaderboard.schema.json").read_text())
    board = json.loads((folder / "leaderboard.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(board)
    assert validator.is_valid({**board, "extra": 1}) is False
    record_schema = json.loads((folder / "record.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(record_schema)
    for path in (folder / "records").rglob("*.json.gz"):
        record = json.loads(read_json(path))
        jsonschema.Draft202012Validator(record_schema).validate(record)
    record["result"]["blocks"][0]["rows"]["length"][0] = "long"
    assert jsonschema.Draft202012Validator(record_schema).is_valid(record) is False


def test_the_same_records_give_the_same_bytes_wherever_they_lie(built, make, write, tmp_path):
    folder, _ = built
    other = tmp_path / "elsewhere"
    records = [make(method, seed, level=level) for seed in (1, 0) for method, level in (("meta-dt", 60), ("bc", 20))]
    write([make("teacher", 0, level=100, privileged=True), *records], other / "records")
    build_leaderboard(other / "records", other)
    assert contents(other) == contents(folder)


def test_rebuilding_removes_rows_of_records_that_are_gone(make, write, tmp_path):
    paths = write([make(seed=0), make(seed=1)], tmp_path / "records")
    build_leaderboard(tmp_path / "records", tmp_path)
    before = sorted(path.name for path in (tmp_path / "rows").iterdir())
    paths[1].unlink()
    build_leaderboard(tmp_path / "records", tmp_path)
    after = sorted(path.name for path in (tmp_path / "rows").iterdir())
    assert (len(before), len(after)) == (2, 1)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("name", ["index.html", "rows/mine.js", "leaderboard.json", "predictions.csv"])
def test_nothing_of_somebody_else_is_written_over(make, write, tmp_path, name):
    write([make(seed=0)], tmp_path / "records")
    site = tmp_path / "site"
    (site / name).parent.mkdir(parents=True)
    (site / name).write_text('{"mine": 1}')
    with pytest.raises(DataError, match=f"site: holds {name.partition('/')[0]}, but no leaderboard.json of an earlier"):
        build_leaderboard(tmp_path / "records", site)
    assert contents(site) == {name: b'{"mine": 1}'}


def test_a_folder_that_holds_other_things_is_built_into(make, write, tmp_path):
    write([make(seed=0)], tmp_path / "records")
    (tmp_path / "notes.txt").write_text("mine")
    for _ in range(2):
        build_leaderboard(tmp_path / "records", tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_broken_record_stops_the_build_and_leaves_what_was_there(built, make, write, tmp_path):
    (path,) = write([make()], tmp_path / "records")
    build_leaderboard(tmp_path / "records", tmp_path)
    before = contents(tmp_path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match="metabench leaderboard check"):
        build_leaderboard(tmp_path / "records", tmp_path)
    assert contents(tmp_path) == before


def test_the_csv_has_a_line_an_entry_with_its_place(built):
    folder, board = built
    with (folder / "leaderboard.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(board.entries)
    chosen = [line for line in lines if (line["split"], line["track"]) == ("test", "zero-shot")]
    assert {line["method"]: line["place"] for line in chosen} == {"bc": "2", "meta-dt": "1", "teacher": ""}
    entry = next(e for e in board.entries if (e.method, e.split, e.track) == ("bc", "test", "zero-shot"))
    line = next(line for line in chosen if line["method"] == "bc")
    assert float(line["headline_low"]) == entry.headline.interval[0]
    assert float(line["iqm_low"]) == entry.bootstrap.iqm.interval[0]
    assert (line["worst_task"], line["rank_best"], line["first"]) == (str(entry.worst_task.task), "", "false")
    assert line["seeds"] == "0 1"


def test_provenance_names_every_record(built):
    folder, board = built
    assert len(board.sources) == 5
    assert all((folder / "records" / source.path).exists() for source in board.sources)
    assert {entry.id for entry in board.entries} == {source.contender for source in board.sources}


def test_the_page_is_one_file_that_names_no_other_place(built):
    folder, _ = built
    page = (folder / "index.html").read_text()
    assert "{{" not in page
    assert not re.search(r"(src|href)=\"(https?:)?//", page)
    assert not re.search(r"\b(fetch|XMLHttpRequest|import)\(", page)


def test_embedded_json_cannot_end_a_script_and_stays_the_same_value():
    content = {"name": "</script><!-- & > \u2028\u2029 é", "value": [1.5, None, True]}
    text = embed_json(content)
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == content


def test_an_empty_folder_makes_an_empty_leaderboard(tmp_path):
    (tmp_path / "records").mkdir()
    assert build_leaderboard(tmp_path / "records", tmp_path).entries == ()
    assert (tmp_path / "index.html").exists()
