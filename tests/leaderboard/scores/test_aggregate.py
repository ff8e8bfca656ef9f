"""From records to entries: per-seed scores, intervals, what is missing, what is outdated."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from metabench.errors import DataError
from metabench.evaluation.protocol import PROTOCOL
from metabench.leaderboard.build import compile_leaderboard
from metabench.leaderboard.export.formats import export_entries
from metabench.leaderboard.scores import archived_protocols
from metabench.leaderboard.scores.aggregate import aggregate
from metabench.leaderboard.scores.quotas import SuiteShelf
from metabench.leaderboard.scores.standings import make_boards
from metabench.methods.configuring import label_method
from metabench.suites import load_suite
from metabench.suites.schema import SuiteEntry

SUITE = load_suite("tiny")


def entry_of(entries, split="test", track="zero-shot", shots=0):
    (found,) = [e for e in entries if (e.split, e.track, e.shots) == (split, track, shots)]
    return found


def scores_by_hand(record, split, track, shots):
    (block,) = [b for b in record.result.blocks if (b.split, b.track, b.shots) == (split, track, shots)]
    references = {task.id: task.reference for task in SUITE.tasks}
    scores = {}
    for row in block.rows:
        low, high = references[row.task].random, references[row.task].expert
        scores.setdefault(row.task, []).append(100 * (row.total_return - low) / (high - low))
    return [np.mean(scores[task]) for task in sorted(scores)]


@settings(max_examples=10, deadline=None)
@given(count=st.integers(1, 6), level=st.floats(-20, 120))
def test_the_seed_is_the_unit(make, count, level):
    records = [make(seed=seed, level=level) for seed in range(count)]
    entry = entry_of(aggregate(records), track="few-shot", shots=3)
    tasks = [scores_by_hand(record, "test", "few-shot", 3) for record in records]
    per_seed = np.mean(tasks, axis=1)
    assert [seed.headline for seed in entry.seeds] == pytest.approx(per_seed, abs=1e-5)
    assert [seed.task_scores for seed in entry.seeds] == [pytest.approx(each, abs=1e-5) for each in tasks]
    assert entry.headline.mean == pytest.approx(np.mean(per_seed), abs=1e-5)
    assert entry.normalised_return == entry.headline
    if count == 1:
        assert entry.headline.interval is None
    else:
        expected = stats.t.interval(0.95, count - 1, np.mean(per_seed), stats.sem(per_seed))
        assert entry.headline.interval == pytest.approx(expected, abs=1e-5)
    assert entry.missing == ()


def test_every_split_track_and_shots_of_the_protocol_has_an_entry(make):
    entries = aggregate([make()])
    assert [(e.split, e.track, e.shots) for e in entries] == [
        ("test", "zero-shot", 0),
        ("test", "few-shot", 1),
        ("test", "few-shot", 3),
        ("test", "few-shot", 5),
        ("test", "logged-shot", 3),
        ("test-far", "zero-shot", 0),
        ("test-far", "few-shot", 3),
        ("test-far", "logged-shot", 3),
    ]


def test_the_adaptation_curve_rises_with_what_support_brings(make):
    entries = aggregate([make(gain=8, seed=seed) for seed in range(3)])
    curve = [entry_of(entries)] + [entry_of(entries, track="few-shot", shots=shots) for shots in (1, 3, 5)]
    assert [round(each.headline.mean - curve[0].headline.mean) for each in curve] == pytest.approx(
        [0, 8, 24, 40], abs=7
    )
    assert [len(each.collection) for each in curve] == [0, 1, 3, 5]


def test_collection_returns_are_means_over_the_supports(make):
    records = [make(seed=seed) for seed in range(2)]
    entry = entry_of(aggregate(records), track="few-shot", shots=3)
    for index, value in enumerate(entry.collection):
        per_seed = [
            np.mean([row.total_return for row in c.rows if row.episode == index])
            for record in records
            for c in record.result.collections
            if c.split == "test"
        ]
        assert value.mean == pytest.approx(np.mean(per_seed), abs=1e-5)


def test_an_incomplete_block_is_named_and_not_counted(make):
    def cut(block):
        if block.track == "zero-shot":
            return block.model_copy(update={"rows": block.rows[:-1]})
        return None if block.track == "logged-shot" else block

    entries = aggregate([make(seed=0), make(seed=1, keep=cut), make(seed=2)])
    zero, logged = entry_of(entries), entry_of(entries, track="logged-shot", shots=3)
    assert [seed.seed for seed in zero.seeds] == [0, 2]
    assert zero.missing == ("seed 1: 1 of 2 episodes missing, task 2",)
    assert logged.missing == ("seed 1: not evaluated",)
    assert entry_of(entries, track="few-shot", shots=3).missing == ()


def test_a_method_without_any_complete_seed_stays_and_says_why(make):
    entries = aggregate([make(keep=lambda block: block if block.track == "few-shot" else None)])
    assert entry_of(entries).headline is None
    assert entry_of(entries).missing == ("seed 0: not evaluated",)
    assert len(entries) == 8


def test_records_of_another_suite_version_keep_returns_only(make):
    entries = aggregate([make(cell={"suite_digest": "sha256:" + "1" * 64})])
    assert all(entry.headline is None and not entry.seeds for entry in entries)
    assert all("11111111" in entry.outdated and SUITE.digest[7:15] in entry.outdated for entry in entries)
    assert entry_of(entries).mean_return is not None


def test_a_suite_that_is_not_installed_says_so(make):
    (entry, *_) = aggregate([make(cell={"suite": "cheetah-velocity"})])
    assert "unknown suite 'cheetah-velocity'" in entry.outdated


def test_two_records_of_one_cell_are_refused(make):
    with pytest.raises(DataError, match=r"two records of one cell: tiny-v1/medium/bc/cpu-\w+/3.json"):
        aggregate([make(seed=3), make(seed=3)])


@pytest.mark.parametrize(
    "change",
    [{"dataset_digest": "sha256:" + "2" * 64}, {"preset": "paper"}, {"method_version": 2}, {"protocol": "0"}],
)
def test_rows_that_differ_in_anything_but_the_seed_are_never_pooled(make, change):
    entries = aggregate([make(seed=0), make(seed=1, cell=change)])
    assert len({entry.id for entry in entries}) == 2
    assert all(len(entry.seeds) <= 1 for entry in entries)


def test_other_data_than_published_is_marked(make):
    published = SUITE.entry.datasets["medium"].digest
    (entry, *_) = aggregate([make(cell={"dataset_digest": "sha256:" + "2" * 64})])
    assert entry.data_as_published is (None if published is None else False)


def test_the_order_of_records_does_not_matter(make):
    records = [make(method, seed) for method in ("bc", "meta-dt") for seed in range(3)]
    assert aggregate(records) == aggregate(records[::-1])


def test_rliables_statistics_are_of_the_run_by_task_matrix(make):
    records = [make(seed=seed, suite="point-robot", level=95) for seed in range(3)]
    entry = entry_of(aggregate(records))
    tasks = load_suite("point-robot").tasks
    matrix = []
    for record in records:
        rows = record.result.blocks[0].rows
        references = {task: tasks[task].reference for task in {row.task for row in rows}}
        matrix.append(
            [
                np.mean(
                    [100 * (r.total_return - ref.random) / (ref.expert - ref.random) for r in rows if r.task == task]
                )
                for task, ref in sorted(references.items())
            ]
        )
    matrix = np.array(matrix)
    assert entry.bootstrap.iqm.mean == pytest.approx(stats.trim_mean(matrix, 0.25, axis=None), abs=1e-5)
    assert entry.bootstrap.optimality_gap.mean == pytest.approx(100 - np.minimum(matrix, 100).mean(), abs=1e-5)
    low, high = entry.bootstrap.iqm.interval
    assert low <= entry.bootstrap.iqm.mean <= high
    assert [task.score.mean for task in entry.tasks] == pytest.approx(matrix.mean(axis=0), abs=1e-5)
    shares = dict(zip(entry.profile.thresholds, entry.profile.shares, strict=True))
    assert shares[95.0] == pytest.approx((matrix > 95).mean(), abs=1e-5)


def test_the_worst_task_is_the_lowest_of_the_means_over_seeds(make):
    entry = entry_of(aggregate([make(seed=seed, suite="point-robot", noise=40.0) for seed in range(3)]))
    means = {task.task: task.score.mean for task in entry.tasks}
    assert entry.worst_task.task == min(means, key=means.get)
    assert entry.worst_task.score.mean == min(means.values())
    assert entry.worst_task.score.mean >= np.mean([min(seed.task_scores) for seed in entry.seeds])


def test_scores_beyond_measure_are_clipped_and_counted(make):
    entries = aggregate([make(seed=seed, level=level) for seed, level in enumerate((-500, 50, 900))])
    entry = entry_of(entries)
    assert [seed.headline for seed in entry.seeds][::2] == [-100.0, 200.0]
    assert [seed.clipped for seed in entry.seeds] == [1, 0, 1]
    assert entry.clipped == 2


def with_blind(score, **changes):
    """The suite with blind references at normalised `score`."""
    tasks = tuple(
        task.model_copy(update={"reference": task.reference.model_copy(update={"blind": value})})
        for task in SUITE.tasks
        for value in [task.reference.random + score / 100 * (task.reference.expert - task.reference.random)]
    )
    return dataclasses.replace(SUITE, entry=SUITE.entry.model_copy(update={"task": tasks, **changes}))


def test_adaptation_is_the_share_of_what_knowing_the_task_is_worth(make):
    suite = with_blind(40.0)
    records = [make(seed=seed, level=70.0, cell={"suite_digest": suite.digest}) for seed in range(3)]
    entry = entry_of(aggregate(records, SuiteShelf([suite])))
    assert suite.headroom("test") == pytest.approx(60.0)
    seeds = [100 * (seed.headline - 40) / 60 for seed in entry.seeds]
    assert entry.adaptation.mean == pytest.approx(np.mean(seeds), abs=1e-5)
    expected = stats.t.interval(0.95, 2, np.mean(seeds), stats.sem(seeds))
    assert entry.adaptation.interval == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("suite", "headroom"),
    [(with_blind(91.0), 9.0), (with_blind(40.0, task_in_observation=True), 0.0), (SUITE, None)],
    ids=["little", "told", "unmeasured"],
)
def test_without_headroom_adaptation_is_blank(make, suite, headroom):
    entry = entry_of(aggregate([make(cell={"suite_digest": suite.digest})], SuiteShelf([suite])))
    assert suite.headroom("test") == (headroom if headroom is None else pytest.approx(headroom))
    assert entry.adaptation is None
    assert entry.headline is not None


def test_a_suite_of_success_tells_its_headroom_and_adaptation(make):
    success = {"random": 0.1, "expert": 0.9, "blind": 0.3}
    content = SUITE.entry.model_dump()
    content |= {"headline": "success", "success": "any", "task": [{**t, "success": success} for t in content["task"]]}
    suite = dataclasses.replace(SUITE, entry=SuiteEntry.model_validate(content))

    def succeed(block):
        rows = [row._replace(success_any=i % 2 == 0, success_last=False) for i, row in enumerate(block.rows)]
        return block.model_copy(update={"rows": tuple(rows)})

    shelf = SuiteShelf([suite])
    entries = aggregate([make(cell={"suite_digest": suite.digest}, keep=succeed)], shelf)
    assert entry_of(entries).headline.mean == pytest.approx(50.0)  # half of the episodes: (0.5 - 0.1) / (0.9 - 0.1)
    assert entry_of(entries).adaptation.mean == pytest.approx(100 * (50 - 25) / 75)
    (summary,) = compile_leaderboard(entries, [], shelf, {}).suites
    assert summary.headroom == {"test": 75.0, "test-far": 75.0}


def test_records_of_an_archived_protocol_are_scored_marked_and_kept_apart(make, monkeypatch):
    monkeypatch.setattr(archived_protocols, "ARCHIVED_PROTOCOLS", ("0",))
    old = aggregate([make("bc", seed, cell={"protocol": "0"}) for seed in range(3)])
    assert all(entry.protocol_archived and entry.outdated is None for entry in old)
    assert entry_of(old).headline == entry_of(aggregate([make("bc", seed) for seed in range(3)])).headline
    boards = make_boards([*old, *aggregate([make("bc"), make("meta-dt")])])
    assert {(board.protocol, board.archived, len(board.standings)) for board in boards} == {
        ("0", True, 1),
        (PROTOCOL, False, 2),
    }
    markdown = export_entries(old, "markdown")
    assert "protocol 0 (archived)" in markdown
    unknown = aggregate([make("bc", cell={"protocol": "00"})])
    assert "made with protocol 00" in entry_of(unknown).outdated


@pytest.mark.parametrize(
    ("method", "overrides", "expected"),
    [
        ("meta-dt", {}, "meta-dt"),
        ("meta-dt/no_context", {"use_context": False}, "meta-dt (no_context)"),
        ("meta-dt/small", {"layers": 1, "width": 8}, "meta-dt (small: layers=1, width=8)"),
        ("bc", {"layers": 2, "dropout": True, "name": "x"}, "bc (dropout, layers=2, name=x)"),
        ("bc", {"text": "y" * 200}, "bc (text=" + "y" * 54 + "…)"),
    ],
)
def test_labels_are_short_and_tell_what_differs(method, overrides, expected):
    assert label_method(method, overrides) == expected


def test_methods_of_one_name_and_different_code_have_rows_and_labels_of_their_own(make):
    codes = ["sha256:" + 64 * digit for digit in "12"]
    records = [make(method="small", seed=seed, cell={"method_code": code}) for code in codes for seed in (0, 1)]
    entries = [entry for entry in aggregate(records) if entry.track == "zero-shot" and entry.split == "test"]
    assert {(entry.label, len(entry.seeds)) for entry in entries} == {
        ("small [code 11111111]", 2),
        ("small [code 22222222]", 2),
    }
    assert {entry.label for entry in aggregate(records[:2])} == {"small"}


def test_an_older_version_of_a_method_says_so_wherever_it_stands(make):
    """Beside the newer one, and where the newer one has no records: a mean over suites is never of two versions."""
    records = [make("x", cell={"method_version": 2}), make("x"), make("x", suite="point-robot"), make("bc")]
    labels = {(each.suite, each.method_version): each.label for each in aggregate(records) if each.method == "x"}
    older = make("x").result.cell.method_version
    assert labels == {
        ("tiny", 2): "x",
        ("tiny", older): f"x (version {older})",
        ("point-robot", older): f"x (version {older})",
    }
