"""What check finds and what add lets in."""

import json

import pytest

from metabench.errors import DataError
from metabench.leaderboard.submission.add import add_records
from metabench.leaderboard.submission.check import check_records
from metabench.runs.kept.record import read_record, write_record
from metabench.runs.kept.record_file import compress, read_json


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "records"


def findings(records, folder, write):
    write(records, folder)
    return list(check_records(folder))


def point_robot(make, **changes):
    return make(suite="point-robot", **changes)


def test_good_records_have_no_findings(make, write, folder):
    records = [
        point_robot(make, method=method, seed=seed) for method in ("bc", "meta-dt/no_context") for seed in (0, 1)
    ]
    assert findings(records, folder, write) == []


def test_fewer_tracks_are_no_finding(make, write, folder):
    record = point_robot(make, keep=lambda block: block if block.track == "zero-shot" else None)
    assert findings([record], folder, write) == []


def _drop(rows):
    return rows[:-3]


def _repeat_one(rows):
    return (*rows, rows[0])


def _go_beyond(rows):
    return (*rows, rows[0]._replace(support=99))


def _lengthen(rows):
    return (rows[0]._replace(length=21), *rows[1:])


def _train(rows):
    return (rows[0]._replace(task=3), *rows[1:])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_drop, "test zero-shot: 3 of 150 episodes missing, task 74"),
        (_repeat_one, "test zero-shot: 1 episodes given twice, task 45"),
        (_go_beyond, "test zero-shot: 1 episodes beyond the quota, task 45"),
        (_lengthen, "test zero-shot: an episode of 21 steps, the horizon is 20"),
        (_train, "test zero-shot: 1 episodes beyond the quota, task 3"),
    ],
)
def test_rows_are_held_against_the_quotas(make, write, folder, change, expected):
    def changed(block):
        if (block.split, block.track) != ("test", "zero-shot"):
            return block
        return block.model_copy(update={"rows": change(block.rows)})

    found = findings([point_robot(make, keep=changed)], folder, write)
    assert any(line.endswith(expected) for line in found), found
    assert all(line.startswith("point-robot-v2/medium/bc/cpu-") for line in found)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ({"suite": "point-robots"}, "unknown suite 'point-robots'; did you mean 'point-robot'?"),
        ({"suite_version": 7}, "suite_version: expected 2, found 7"),
        ({"suite_digest": "sha256:" + "0" * 64}, "suite_digest: expected sha256:"),
        ({"dataset": "mediums"}, "dataset: expected one of expert, expert-actions, histories, medium, mixed, random, "),
        ({"protocol": "1"}, "protocol: expected 2, found 1"),
        ({"config_digest": "sha256:" + "5" * 64}, "config_digest: does not match the configuration"),
        ({"method": "twm/finetune"}, "method: expected 'twm-plus', found 'twm', its name in archived records"),
        ({"method": "<b>x</b>"}, "method: expected letters, digits and . _ + -, found '<b>x</b>'"),
    ],
)
def test_identities_are_held_against_the_suite(make, write, folder, cell, expected):
    found = findings([point_robot(make, cell=cell)], folder, write)
    assert any(expected in line for line in found), found


def test_names_that_lead_out_of_the_folder_are_refused(make, tmp_path):
    record = point_robot(make, cell={"preset": "../../../escape"})
    path = tmp_path / "results" / "one.json"
    path.parent.mkdir()
    path.write_text(record.model_dump_json())
    addition = add_records(path, tmp_path / "records")
    assert any("preset: expected letters" in line for line in addition.findings)
    assert not (tmp_path / "records").exists()


def test_a_suite_for_tests_is_not_published(make, write, folder):
    assert any("is for tests" in line for line in findings([make()], folder, write))


def test_collections_must_come_with_few_shot_rows(make, write, seal, folder):
    record = point_robot(make)
    record = seal(record, collections=record.result.collections[:1])
    found = findings([record], folder, write)
    assert any("collections: expected one of each split" in line for line in found)
    assert any("counts.support_steps" in line for line in found)


def test_files_that_are_no_records_are_named_each(make, write, folder):
    (path,) = write([point_robot(make)], folder)
    whole = read_json(path).decode()
    content = json.loads(whole)
    content["result"]["blocks"][0]["rows"]["total_return"][0] += 0.5
    broken = {
        "truncated.json": whole[:1000],
        "tampered.json": json.dumps(content),
        "empty.json": "",
        "other.json": '{"schema_version": 2}',
    }
    for name, text in broken.items():
        (folder / name).write_text(text)
    found = list(check_records(folder))
    assert len(found) == len(broken)
    assert {line.split(":")[0] for line in found} == set(broken)
    assert any("tampered.json: " in line and "digest does not match" in line for line in found)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("created", "yesterday", "created: expected a moment as 2026-01-31T12:00:00+00:00, found 'yesterday'"),
        ("created", "2026-01-31T12:00:00", "provenance.created: expected a moment as"),
        ("created", "2026-01-31T12:00:00+05:30", "provenance.created: expected a moment as"),
        ("threads", -5, "provenance.threads: expected a number from 1, found -5"),
        ("seconds_training", -1.0, "provenance.seconds_training: expected at least"),
        ("git_revision", "f" * 100_000, "provenance.git_revision: expected at most 2000 characters, found 100000"),
        ("git_revision", "<b>main</b>", "git_revision: expected the hash of a revision, found '<b>main</b>'"),
        ("packages", {"numpy": "x" * 3000}, "provenance.packages.numpy: expected at most 2000 characters, found 3000"),
        ("packages", {"x" * 3000: "1"}, "provenance.packages: a key: expected at most 2000 characters, found 3000"),
        ("warnings", ["w" * 3000], "provenance.warnings.0: expected at most 2000 characters, found 3000"),
    ],
)
def test_provenance_is_held_to_what_can_be_shown(make, write, folder, key, value, expected):
    (path,) = write([point_robot(make)], folder)
    content = json.loads(read_json(path))
    content["provenance"][key] = value
    path.write_bytes(compress(content))
    (found,) = check_records(folder)
    assert expected in found


def test_misplaced_and_repeated_cells_are_found(make, write, folder):
    (path,) = write([point_robot(make)], folder)
    (folder / "copy.json").write_bytes(path.read_bytes())
    found = list(check_records(folder))
    assert any(line.startswith("copy.json: expected at point-robot-v2/") for line in found)
    assert any("the same cell as" in line for line in found)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match="nowhere: no such folder"):
        list(check_records(tmp_path / "nowhere"))


def test_add_copies_good_records_and_does_so_once(make, write, tmp_path, folder):
    records = [point_robot(make, seed=seed) for seed in range(2)]
    paths = write(records, tmp_path / "results")
    paths[0].with_suffix(".failed.json").write_text("{}")
    addition = add_records(tmp_path / "results", folder)
    assert (len(addition.added), addition.findings) == (2, ())
    assert [read_record(folder / record.path) for record in records] == records
    again = add_records(tmp_path / "results", folder)
    assert (again.added, len(again.unchanged)) == ((), 2)


def test_add_takes_all_or_none(make, write, tmp_path, folder):
    write([point_robot(make, seed=0), point_robot(make, seed=1, cell={"protocol": "9"})], tmp_path / "results")
    addition = add_records(tmp_path / "results", folder)
    assert len(addition.findings) == 1
    assert not folder.exists()


def test_add_replaces_another_result_only_when_told(make, write, tmp_path, folder):
    write([point_robot(make, level=10)], folder)
    fresh = point_robot(make, level=20)
    write([fresh], tmp_path / "results")
    refused = add_records(tmp_path / "results", folder)
    assert "holds another result" in refused.findings[0]
    assert add_records(tmp_path / "results", folder, replace=True).added == (fresh.path,)
    assert read_record(folder / fresh.path) == fresh


def test_add_replaces_the_circumstances_of_an_equal_result_only_when_told(make, write, tmp_path, folder):
    published = point_robot(make)
    write([published], folder)
    again = published.model_copy(update={"provenance": published.provenance.model_copy(update={"command": "again"})})
    write([again], tmp_path / "results")
    assert add_records(tmp_path / "results", folder).unchanged == (again.path,)
    assert read_record(folder / again.path) == published
    assert add_records(tmp_path / "results", folder, replace=True).added == (again.path,)
    assert read_record(folder / again.path) == again


def test_names_of_metabench_itself_are_refused_from_other_code(make, write, folder):
    cell = {"method_code": "sha256:" + 64 * "0"}
    found = findings([point_robot(make, method="bc", cell=cell)], folder, write)
    assert any("'bc' comes with metabench; code of another kind needs another name" in line for line in found)
    added = add_records(folder, folder.parent / "published")
    assert added.added == ()
    assert any("method_code: 'bc' comes with metabench" in line for line in added.findings)


def test_code_of_another_kind_must_be_told(make, write, seal, folder):
    record = point_robot(make, method="small")
    untold = record.result.cell.model_copy(update={"method_code": None})
    found = findings([seal(record, cell=untold)], folder, write)
    assert any("method_code: expected the hash of the code of 'small', found none" in line for line in found)
    other = record.result.cell.model_copy(update={"method_code": "sha256:" + 64 * "0", "seed": 1})
    found = findings([seal(record, cell=other)], folder, write)
    assert any("provenance.foreign_code: expected the code that the cell names, found other" in line for line in found)
    physics = record.result.cell.model_copy(update={"suite_code": "sha256:" + 64 * "0", "seed": 2})
    found = findings([seal(record, cell=physics)], folder, write)
    assert any("suite_code: expected none, found sha256:00000000" in line for line in found)


def test_a_record_of_an_earlier_protocol_in_the_place_of_a_present_cell_is_named_and_not_added(make, folder, tmp_path):
    present = point_robot(make)
    old = point_robot(make, cell={"protocol": "1"})
    write_record(old, folder / present.path)
    found = list(check_records(folder))
    assert f"{present.path}: expected at {old.path}, where its cell belongs" in found
    assert f"{present.path}: protocol: expected 2, found 1" in found
    added = add_records(folder, tmp_path / "published")
    assert added.added == ()
    assert f"{folder / present.path}: protocol: expected 2, found 1" in added.findings
    assert not (tmp_path / "published").exists()
