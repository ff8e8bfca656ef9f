"""Who may be compared with whom, ranks, and the overall table."""

import pytest
from scipy import stats

from metabench.leaderboard.scores import overall
from metabench.leaderboard.scores.aggregate import aggregate
from metabench.leaderboard.scores.overall import make_overall_tables
from metabench.leaderboard.scores.standings import distinguish_labels, make_boards


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


def test_best_first_privileged_and_empty_ones_unranked(make):
    entries = aggregate(
        [make(method, seed, level=level) for method, level in (("bc", 20), ("meta-dt", 60)) for seed in range(5)]
        + [make("teacher", 0, level=100, privileged=True)]
        + [make("lazy", 0, level=99, keep=lambda block: block if block.track == "few-shot" else None)]
    )
    found = name_standings(entries, board_of(entries))
    assert [(name, standing.rank) for name, standing in found] == [
        ("meta-dt", 1),
        ("bc", 2),
        ("teacher", None),
        ("lazy", None),
    ]


def test_the_difference_to_the_leader_is_welchs_and_its_verdict_needs_five_seeds(make):
    records = [make("meta-dt", seed, level=60) for seed in range(5)] + [make("bc", s, level=30) for s in range(5)]
    entries = aggregate(records)
    leader, second = (standing for _, standing in name_standings(entries, board_of(entries)))
    assert (leader.difference, leader.verdict) == (None, None)
    scores = {
        entry.method: [seed.iqm for seed in entry.seeds]
        for entry in entries
        if (entry.split, entry.track) == ("test", "zero-shot")
    }
    expected = stats.ttest_ind(scores["bc"], scores["meta-dt"], equal_var=False).confidence_interval(0.95)
    assert second.interval == pytest.approx((expected.low, expected.high), abs=1e-4)
    assert second.verdict == "worse"
    assert second.probability_of_improvement == 0.0
    fewer = aggregate(records[:-1])
    _, second = (standing for _, standing in name_standings(fewer, board_of(fewer)))
    assert second.interval is not None
    assert second.verdict is None


def test_presets_data_and_suite_versions_have_boards_of_their_own(make):
    entries = aggregate(
        [
            make("bc", preset="cpu"),
            make("bc", preset="demo"),
            make("bc", cell={"dataset_digest": "sha256:" + "2" * 64}),
            make("bc", cell={"suite_digest": "sha256:" + "3" * 64}),
        ]
    )
    zero = [board for board in make_boards(entries) if (board.split, board.track) == ("test", "zero-shot")]
    assert len(zero) == 4
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
    assert rows["bc"].rank == 1
    assert rows["bc"].mean.mean == pytest.approx(sum(cell.headline.mean for cell in rows["bc"].cells) / 2, abs=1e-5)
    assert rows["bc"].mean.interval is not None
    assert (rows["meta-dt"].rank, rows["meta-dt"].mean, rows["meta-dt"].missing) == (None, None, ("point-robot",))
    assert rows["teacher"].rank is None
    assert rows["teacher"].privileged
    assert "tiny" not in make_overall_tables(entries, seen_tasks=["tiny"])[0].suites
