"""Who may be compared with whom, places, ranks and 'first', and the overall table."""

import numpy as np
import pytest
from scipy import stats

from metabench.evaluation.verdicts import compare_methods_on
from metabench.leaderboard.export.text_tables import format_rank
from metabench.leaderboard.scores import overall
from metabench.leaderboard.scores.aggregate import aggregate
from metabench.leaderboard.scores.overall import make_overall_tables
from metabench.leaderboard.scores.placing import average_units, summarise_entry
from metabench.leaderboard.scores.quotas import SuiteShelf
from metabench.leaderboard.scores.standings import distinguish_labels, make_boards

from ...synthetic_records import WIDE, cached_suite

SHELF = SuiteShelf([cached_suite(WIDE)])


def board_of(entries, track="zero-shot", **fields):
    (found,) = [
        board
        for board in make_boards(entries)
        if board.track == track
        and board.split == "test"
        and board.shots in (0, 3)
        and all(getattr(board, name) == value for name, value in fields.items())
    ]
    return found


def name_standings(entries, board):
    labels = {entry.id: entry.method for entry in entries}
    return [(labels[standing.entry], standing) for standing in board.standings]


def aggregate_wide(make, levels, **changes):
    """Entries of methods at `levels`, each with its number of seeds, in a suite of twelve test tasks."""
    records = [
        make(method, seed, suite=WIDE, level=level, **changes)
        for method, (level, seeds) in levels.items()
        for seed in range(seeds)
    ]
    return aggregate(records, SHELF)


def test_best_first_privileged_and_empty_ones_without_a_place(make):
    entries = aggregate(
        [make(method, seed, level=level) for method, level in (("bc", 20), ("meta-dt", 60)) for seed in range(5)]
        + [make("teacher", 0, level=100, privileged=True)]
        + [make("lazy", 0, level=99, keep=lambda block: block if block.track == "few-shot" else None)]
    )
    found = name_standings(entries, board_of(entries))
    assert [(name, standing.place) for name, standing in found] == [
        ("meta-dt", 1),
        ("bc", 2),
        ("teacher", None),
        ("lazy", None),
    ]
    # The suite has fewer than ten test tasks: there is an order, and no rank.
    assert all((standing.rank, standing.first, standing.verdict) == (None, False, None) for _, standing in found)
    assert [format_rank(standing) for _, standing in found] == ["(1)", "(2)", "–", "–"]


def test_differences_to_the_first_place_have_the_interval_over_seeds_and_tasks_and_welchs(make):
    entries = aggregate_wide(make, {"meta-dt": (60, 5), "bc": (30, 3)})
    leader, second = (standing for _, standing in name_standings(entries, board_of(entries)))
    assert (leader.difference, leader.interval, leader.verdict, leader.seed_interval) == (None,) * 4
    scores = {
        entry.method: np.array([seed.task_scores for seed in entry.seeds])
        for entry in entries
        if (entry.split, entry.track) == ("test", "zero-shot")
    }
    expected = compare_methods_on(scores["bc"], scores["meta-dt"])
    assert second.difference == pytest.approx(expected.difference, abs=1e-5)
    assert second.interval == pytest.approx(expected.find_interval(), abs=1e-5)
    welch = stats.ttest_ind(scores["bc"].mean(1), scores["meta-dt"].mean(1), equal_var=False).confidence_interval(0.95)
    assert second.seed_interval == pytest.approx((welch.low, welch.high), abs=1e-4)
    assert second.verdict == "worse"
    assert second.probability_of_improvement == 0.0
    fewer = aggregate_wide(make, {"meta-dt": (60, 5), "bc": (30, 2)})
    leader, second = (standing for _, standing in name_standings(fewer, board_of(fewer)))
    assert second.interval is not None
    assert (second.verdict, second.rank) == (None, None)
    assert leader.rank == (1, 2)  # nothing is said against one with two seeds


def test_ranks_are_what_verdicts_leave_open_and_first_is_one_of_them(make):
    close = {"a": (60, 5), "b": (59, 5), "c": (30, 5)}
    entries = aggregate_wide(make, close, noise=20.0, seed_noise=3.0)
    found = dict(name_standings(entries, board_of(entries)))
    assert [found[name].rank for name in "abc"] == [(1, 2), (1, 2), (3, 3)]
    assert not any(standing.first for standing in found.values())
    assert {format_rank(found[name]) for name in "abc"} == {"1–2", "3"}
    apart = aggregate_wide(make, {"a": (60, 5), "b": (45, 5), "c": (30, 5)})
    found = dict(name_standings(apart, board_of(apart)))
    assert [(found[name].rank, found[name].first) for name in "abc"] == [
        ((1, 1), True),
        ((2, 2), False),
        ((3, 3), False),
    ]
    assert [format_rank(found[name]) for name in "abc"] == ["first", "2", "3"]
    alone = aggregate_wide(make, {"a": (60, 5)})
    assert not any(standing.first for _, standing in name_standings(alone, board_of(alone)))


def test_goals_of_one_environment_are_one_unit(make):
    matrix = np.arange(8.0).reshape(2, 4)
    assert average_units(matrix, [None] * 4).tolist() == matrix.tolist()
    assert average_units(matrix, ["door", "shelf", "door", "shelf"]).tolist() == [[1.0, 2.0], [5.0, 6.0]]
    ml10 = cached_suite("ml10")
    assert len({ml10.unit(task.id) for task in ml10.split("test")}) == 5
    assert {cached_suite("reach").unit(task.id) for task in cached_suite("reach").split("test")} == {None}
    (entry, *_) = aggregate_wide(make, {"a": (60, 3)})
    shared = [task.model_copy(update={"unit": str(place % 6)}) for place, task in enumerate(entry.tasks)]
    assert len(summarise_entry(entry).task_means) == 12
    assert len(summarise_entry(entry.model_copy(update={"tasks": tuple(shared)})).task_means) == 6


def test_presets_data_protocols_and_suite_versions_have_boards_of_their_own(make):
    entries = aggregate(
        [
            make("bc", preset="cpu"),
            make("bc", preset="demo"),
            make("bc", cell={"dataset_digest": "sha256:" + "2" * 64}),
            make("bc", cell={"suite_digest": "sha256:" + "3" * 64}),
            make("bc", cell={"protocol": "0"}),
        ]
    )
    zero = [board for board in make_boards(entries) if (board.split, board.track) == ("test", "zero-shot")]
    assert len(zero) == 5
    assert all(len(board.standings) == 1 for board in zero)


def test_equal_labels_are_told_apart_by_their_configuration(make):
    entries = aggregate([make("bc", configuration={"layers": n}) for n in (1, 2)] + [make("meta-dt")])
    labels = distinguish_labels([entry for entry in entries if (entry.split, entry.track) == ("test", "zero-shot")])
    assert len(set(labels.values())) == 3
    assert "meta-dt" in labels.values()
    assert sum(label.startswith("bc #") for label in labels.values()) == 2


def test_the_overall_table_shows_gaps_and_ranks_only_complete_rows(make, monkeypatch):
    monkeypatch.setattr(overall, "CORE_SUITES", ("tiny", "point-robot"))
    records = [make("bc", seed, suite=suite) for suite in ("tiny", "point-robot") for seed in range(3)]
    records += [make("meta-dt", seed, level=80) for seed in range(3)]
    records += [make("teacher", 0, suite=suite, level=100, privileged=True) for suite in ("tiny", "point-robot")]
    records += [make("bc", 0, dataset="expert"), make("bc", 0, preset="demo")]
    entries = aggregate(records)
    table = next(each for each in make_overall_tables(entries) if (each.preset, each.track) == ("cpu", "zero-shot"))
    assert table.shots == 0
    rows = {row.label: row for row in table.rows}
    assert [row.label for row in table.rows] == ["bc", "meta-dt", "teacher"]
    assert rows["bc"].place == 1
    assert rows["bc"].mean.mean == pytest.approx(sum(cell.headline.mean for cell in rows["bc"].cells) / 2, abs=1e-5)
    assert rows["bc"].mean.interval is not None
    assert (rows["meta-dt"].place, rows["meta-dt"].mean, rows["meta-dt"].missing) == (None, None, ("point-robot",))
    assert rows["teacher"].place is None
    assert rows["teacher"].privileged
    assert "tiny" not in make_overall_tables(entries, seen_tasks=["tiny"])[0].suites


def test_over_the_core_set_verdicts_take_all_suites_together(make, monkeypatch):
    monkeypatch.setattr(overall, "CORE_SUITES", (WIDE, "tiny"))
    levels = {"a": 70, "b": 40}
    records = [
        make(method, seed, suite=suite, level=level)
        for method, level in levels.items()
        for suite in (WIDE, "tiny")
        for seed in range(3)
    ]
    (table,) = [each for each in make_overall_tables(aggregate(records, SHELF)) if each.track == "zero-shot"]
    # `tiny` has one test task: over both suites nothing can be told but the seeds' interval.
    assert [(row.label, row.place, row.rank, row.first) for row in table.rows] == [
        ("a", 1, None, False),
        ("b", 2, None, False),
    ]
    assert (table.rows[1].interval, table.rows[1].verdict) == (None, None)
    assert table.rows[1].seed_interval[1] < 0
    monkeypatch.setattr(overall, "CORE_SUITES", (WIDE,))
    (table,) = [each for each in make_overall_tables(aggregate(records, SHELF)) if each.track == "zero-shot"]
    assert [(row.rank, row.first, row.verdict) for row in table.rows] == [
        ((1, 1), True, None),
        ((2, 2), False, "worse"),
    ]
    board = board_of(aggregate(records, SHELF), suite=WIDE)
    assert table.rows[1].interval == pytest.approx(board.standings[1].interval, abs=2e-6)
