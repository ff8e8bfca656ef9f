"""Records on disk: gzipped with rows as columns, or plain as the first were published."""

import gzip
import json
import statistics

import pytest

from metabench.errors import DataError
from metabench.evaluation.rows import Row, round_return
from metabench.runs.kept.record import Record, digest_of, make_record, read_record, write_record
from metabench.runs.kept.record_file import LARGEST, read_json
from metabench.system.home import source_root

FROZEN = "sha256:bee56c563ebe915c01202a1514f57abbc21ac20c8e8cd0858fe6859fca01b763"
"""Of the JSON Schema of records, without its prose."""

PUBLISHED = source_root() / "leaderboard" / "records"


def shorten(record: Record) -> Record:
    """A published record with its returns as they are written now."""

    def round_rows(rows: tuple[Row, ...]) -> tuple[Row, ...]:
        return tuple(row._replace(total_return=round_return(row.total_return)) for row in rows)

    def round_part(part):
        return part.model_copy(update={"rows": round_rows(part.rows)})

    result = record.result
    changes = {key: tuple(map(round_part, getattr(result, key))) for key in ("blocks", "collections")}
    return make_record(result.model_copy(update=changes), record.provenance)


def test_the_same_record_gives_the_same_bytes_and_is_read_again(make, tmp_path):
    record = make()
    for name in ("one.json.gz", "another.json.gz"):
        write_record(record, tmp_path / name)
        assert read_record(tmp_path / name) == record
    content = (tmp_path / "one.json.gz").read_bytes()
    assert content == (tmp_path / "another.json.gz").read_bytes()
    assert content[3:8] == bytes(5)  # no file name, no time
    stored = json.loads(gzip.decompress(content))
    rows = stored["result"]["blocks"][0]["rows"]
    assert set(rows) == set(Row._fields)
    assert len(rows["task"]) == len(record.result.blocks[0].rows)
    assert rows["success_any"] is None


def test_the_shape_of_records_is_frozen():
    """Who writes or reads records elsewhere relies on it: another shape needs another `schema_version`."""

    def drop_prose(schema):
        if isinstance(schema, dict):
            return {key: drop_prose(value) for key, value in schema.items() if key not in ("description", "title")}
        return [drop_prose(each) for each in schema] if isinstance(schema, list) else schema

    shape = drop_prose(Record.model_json_schema(mode="serialization"))
    assert digest_of(shape) == FROZEN


def test_published_records_are_read_and_written_as_they_are(tmp_path):
    paths = sorted(PUBLISHED.rglob("*.json"))
    assert len(paths) > 100
    for path in paths[::20]:
        record = read_record(path)
        assert record.schema_version == 1
        assert PUBLISHED / record.path == path
        write_record(record, tmp_path / "copy.json")
        assert (tmp_path / "copy.json").read_bytes() == path.read_bytes()


def test_a_record_takes_a_sixth_of_what_it_took(tmp_path):
    sizes = []
    for path in sorted(PUBLISHED.rglob("*.json"))[::10]:
        write_record(shorten(read_record(path)), tmp_path / "new.json.gz")
        sizes.append(((tmp_path / "new.json.gz").stat().st_size, path.stat().st_size))
    new, old = (statistics.mean(column) for column in zip(*sizes, strict=True))
    assert new < 10_000
    assert new < old / 6


def test_returns_have_seven_digits():
    assert [round_return(value) for value in (-1234.56789, 0.1234567891, 3e-12, 0.0)] == [
        -1234.568,
        0.1234568,
        3e-12,
        0.0,
    ]


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda content: content[:-9], "is cut short; expected gzipped JSON"),
        (lambda content: content + b"x", "damaged: something follows its end"),
        (lambda content: content[:40] + b"\0\0\0\0" + content[44:], "damaged: "),
        (lambda content: gzip.compress(b" " * (LARGEST + 1)), "is larger than any record"),
        (lambda content: gzip.compress(b"[]"), r"\(whole file\)"),
        (lambda content: b"", "Invalid JSON"),
    ],
)
def test_a_damaged_file_is_named(make, tmp_path, damage, problem):
    path = tmp_path / "0.json.gz"
    write_record(make(), path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=rf"0\.json\.gz: .*{problem}|0\.json\.gz: {problem}"):
        read_record(path)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda rows: rows.pop("length"), "expected the columns task, support"),
        (lambda rows: rows["length"].pop(), "expected columns of one length"),
        (lambda rows: rows.update(task=3), "task: expected a list"),
        (lambda rows: rows.update(total_return=None), "total_return|rows"),
    ],
)
def test_columns_that_are_no_rows_are_refused(make, tmp_path, change, problem):
    path = tmp_path / "0.json.gz"
    write_record(make(), path)
    content = json.loads(read_json(path))
    change(content["result"]["blocks"][0]["rows"])
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=problem):
        read_record(path)
