"""Tampered records: every kind of number that cannot be, found with one line each."""

import pytest

from metabench.leaderboard.scores.quotas import SuiteShelf
from metabench.leaderboard.submission.check import check_records
from metabench.runs.kept.record import read_record, write_record
from metabench.runs.kept.record_file import read_json


@pytest.fixture
def found(public_tiny, card, tmp_path):
    """Findings of records, each written where its cell belongs, with the cards of `small` and `memorising`."""

    def check(*records, **about_small):
        folder = tmp_path / "folder"
        for record in records:
            write_record(record, folder / "records" / record.path)
        (folder / "methods").mkdir(exist_ok=True)
        for path in (card("small", **about_small), card("memorising")):
            (folder / "methods" / path.name).write_bytes(path.read_bytes())
        return list(check_records(folder, SuiteShelf([public_tiny])))

    return check


@pytest.fixture
def record(real):
    return read_record(real("small", 0))


def in_first_block(record, change):
    """The blocks of `record`, the first row of the first changed."""
    block = record.result.blocks[0]
    rows = (change(block.rows[0]), *block.rows[1:])
    return {"blocks": (block.model_copy(update={"rows": rows}), *record.result.blocks[1:])}


def test_real_records_have_no_findings(found, real):
    assert found(*(read_record(real("small", seed)) for seed in (0, 1)), read_record(real("memorising", 0))) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"total_return": 0.5},
            "test zero-shot: 1 returns outside what the suite allows, first in task 2: 0.5, expected",
        ),
        ({"total_return": -1e4}, "first in task 2: -10000, expected"),
        ({"total_return": -2.0}, "test zero-shot: 1 returns outside"),  # better than the shortest way to the goal
        ({"success_any": False, "success_last": True}, "1 episodes with success at the last step but at none"),
        ({"success_any": True}, "1 of 2 rows tell no success"),
        ({"length": 3}, "counts.scored_steps: the rows' lengths sum to"),
        ({"length": 21}, "an episode of 21 steps, the horizon is 20"),
        ({"task": 0}, "1 of 2 episodes missing, task 2"),
        ({"support": 7}, "1 episodes beyond the quota, task 2"),
    ],
)
def test_rows_that_cannot_be(found, record, seal, change, expected):
    lines = found(seal(record, **in_first_block(record, lambda row: row._replace(**change))))
    assert any(expected in line for line in lines), lines


@pytest.mark.parametrize("name", ["scored_steps", "support_steps", "act_calls", "adapt_calls"])
@pytest.mark.parametrize("more", [1, -1])
def test_counts_that_the_rows_do_not_account_for(found, record, seal, name, more):
    counts = record.result.counts
    changed = counts.model_copy(update={name: getattr(counts, name) + more})
    (line,) = found(seal(record, counts=changed))
    assert f"counts.{name}: the rows" in line
    assert f"found {getattr(changed, name)}" in line


def test_shots_that_were_left_out(found, record, seal):
    kept = tuple(block for block in record.result.blocks if (block.split, block.shots) != ("test", 5))
    lines = found(seal(record, blocks=kept))
    assert any(line.endswith("test few-shot: rows with 5 shots are missing; a run has them all") for line in lines), (
        lines
    )


def test_support_beyond_the_protocol(found, record, seal):
    part = record.result.collections[0]
    beyond = part.model_copy(update={"rows": (*part.rows, part.rows[-1]._replace(episode=5))})
    lines = found(seal(record, collections=(beyond, *record.result.collections[1:])))
    assert any("test collection: 1 episodes beyond the quota, task 2" in line for line in lines), lines


def test_rows_of_another_seed(found, real, seal):
    first = read_record(real("small", 0))
    copied = seal(first, cell=first.result.cell.model_copy(update={"seed": 7}))
    (line,) = found(first, copied)
    assert line.startswith("tiny-v1/medium/small/tiny-")
    assert line.endswith("/0.json.gz, another seed, and training is random")


def test_rows_of_another_seed_where_training_is_not_random(found, real, seal):
    first = read_record(real("small", 0))
    copied = seal(first, cell=first.result.cell.model_copy(update={"seed": 7}))
    assert found(first, copied, random_training=False) == []


def test_rows_of_another_seed_where_no_better_return_is_possible(found, real, seal, public_tiny):
    first = read_record(real("memorising", 0))
    best = {
        task.id: public_tiny.family.return_bounds(task.parameters, public_tiny.entry.horizon)[1]
        for task in public_tiny.tasks
    }
    blocks = tuple(
        block.model_copy(update={"rows": tuple(row._replace(total_return=best[row.task]) for row in block.rows)})
        for block in first.result.blocks
    )
    perfect = [
        seal(first, blocks=blocks, cell=first.result.cell.model_copy(update={"seed": seed})) for seed in range(2)
    ]
    assert found(*perfect) == []


def test_a_method_that_is_told_the_tasks(found, record, seal):
    (line,) = found(seal(record, privileged=True))
    assert line.endswith("privileged: only metabench's own teacher and blind policy are shown so")


def test_an_outdated_suite(found, record, seal):
    cell = record.result.cell.model_copy(update={"suite_version": 0})
    (line,) = found(seal(record, cell=cell))
    assert line.endswith("suite_version: expected 1, found 0, which is not archived")


def test_an_edited_file(found, record, real, tmp_path):
    found(record)
    path = tmp_path / "folder" / "records" / record.path
    path.write_bytes(read_json(path).replace(b'"privileged":false', b'"privileged":true'))
    (line,) = found()
    assert "digest does not match the result" in line
