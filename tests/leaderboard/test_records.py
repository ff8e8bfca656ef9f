"""Reading published aggregates back, and the schema that is published with them."""

import json
from pathlib import Path

import jsonschema
import pytest

import metabench
from metabench.errors import DataError
from metabench.leaderboard.build import build_leaderboard

PUBLISHED = Path(__file__).parents[2] / "leaderboard"


@pytest.fixture(scope="module")
def built(make, write, tmp_path_factory):
    folder = tmp_path_factory.mktemp("leaderboard")
    write([make("bc", seed) for seed in (0, 1)], folder / "records")
    return folder, build_leaderboard(folder / "records", folder)


def test_what_was_built_is_read_back(built):
    folder, board = built
    assert metabench.load_leaderboard(folder / "leaderboard.json") == board
    assert metabench.load_leaderboard(str(folder / "leaderboard.json")) == board


def test_the_schema_is_published_with_its_version(built):
    folder, _ = built
    schema = json.loads((folder / "leaderboard.schema.json").read_text())
    assert schema["properties"]["schema_version"]["const"] == 2
    assert "schema_version" in schema["required"]
    board = json.loads((folder / "leaderboard.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid(board)
    assert not validator.is_valid({**board, "schema_version": 1})
    assert not validator.is_valid({key: value for key, value in board.items() if key != "schema_version"})


def test_the_leaderboard_of_this_repository_follows_the_schema_beside_it():
    schema = json.loads((PUBLISHED / "leaderboard.schema.json").read_text(encoding="utf-8"))
    board = json.loads((PUBLISHED / "leaderboard.json").read_text(encoding="utf-8"))
    some = {key: value[:20] if isinstance(value, list) else value for key, value in board.items()}
    jsonschema.Draft202012Validator(schema).validate(some)
    assert len(some["entries"]) > 0


def test_the_published_schemas_are_those_of_the_code(built):
    folder, _ = built
    for name in ("leaderboard.schema.json", "record.schema.json"):
        assert (PUBLISHED / name).read_bytes() == (folder / name).read_bytes()


def test_what_is_no_leaderboard_is_refused_by_file_and_key(built, tmp_path):
    folder, _ = built
    content = json.loads((folder / "leaderboard.json").read_text())
    path = tmp_path / "leaderboard.json"
    path.write_text(json.dumps({**content, "schema_version": 1}))
    with pytest.raises(DataError, match=r"leaderboard.json: schema_version: .*metabench leaderboard build"):
        metabench.load_leaderboard(path)
    path.write_text("{")
    with pytest.raises(DataError, match=r"leaderboard.json: \(whole file\): Invalid JSON"):
        metabench.load_leaderboard(path)
    with pytest.raises(DataError, match=r"expected a leaderboard\.json"):
        metabench.load_leaderboard(tmp_path / "none.json")
