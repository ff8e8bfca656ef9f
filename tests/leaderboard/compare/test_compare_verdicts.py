"""What a comparison of two methods may conclude: verdicts in a suite and over the core set, protocols kept apart."""

import numpy as np
import pytest

from metabench.errors import MetabenchError
from metabench.evaluation.verdicts import average_contrasts, compare_methods_on
from metabench.leaderboard.compare.compare import compare_methods
from metabench.leaderboard.compare.comparison_sheets import make_summary_sheets
from metabench.leaderboard.compare.export import export_comparison
from metabench.leaderboard.scores import archived_protocols, overall
from metabench.leaderboard.scores.quotas import SuiteShelf
from metabench.suites import load_suite

from ...synthetic_records import NARROW, WIDE, cached_suite


def test_a_verdict_needs_three_seeds_ten_tasks_and_no_privileged_method(make):
    levels = {"bc": (20, 3), "meta-dt": (60, 3), "few": (90, 2)}
    records = [make(m, seed, suite=WIDE, level=level) for m, (level, seeds) in levels.items() for seed in range(seeds)]
    records += [make("teacher", seed, suite=WIDE, level=100, privileged=True) for seed in range(3)]
    shelf = SuiteShelf([cached_suite(WIDE)])
    for first, second, verdict in (("bc", "meta-dt", "worse"), ("meta-dt", "bc", "better")):
        found = compare_methods(records, first, second, shelf=shelf)
        assert [each.verdict for each in found.comparisons] == [verdict] * 3
    few = compare_methods(records, "bc", "few", shelf=shelf)
    assert all(each.verdict is None and each.difference.interval for each in few.comparisons)
    assert any("fewer than 3 seeds" in note for note in few.notes)
    told = compare_methods(records, "bc", "teacher", shelf=shelf)
    assert all(each.verdict is None for each in told.comparisons)
    assert any("privileged" in note for note in told.notes)


def test_over_fewer_than_ten_tasks_an_interval_is_shown_and_no_verdict(make):
    levels = {"bc": 20, "meta-dt": 60}
    records = [make(m, seed, suite=NARROW, level=level) for m, level in levels.items() for seed in range(3)]
    found = compare_methods(records, "meta-dt", "bc", shelf=SuiteShelf([cached_suite(NARROW)]))
    assert all(each.verdict is None and each.difference.interval[0] > 0 for each in found.comparisons)
    assert "no verdict over fewer than 10 test tasks: narrow-v1" in found.notes


def test_an_archived_protocol_is_named_and_never_compared_with_another(make, monkeypatch):
    monkeypatch.setattr(archived_protocols, "ARCHIVED_PROTOCOLS", ("0",))
    records = [make(method, cell={"protocol": "0"}) for method in ("bc", "x")]
    report = compare_methods([*records, make("bc"), make("y")], "bc", "x")
    assert {each.protocol for each in report.comparisons} == {"0"}
    assert any(note.startswith("protocol 0 (archived)") for note in report.notes)
    assert "protocol 0 (archived)" in export_comparison(report, "markdown")
    with pytest.raises(MetabenchError, match="nothing to compare"):
        compare_methods([*records, make("y")], "x", "y")


@pytest.mark.parametrize(("other", "verdict"), [("point-robot", "better"), (NARROW, None)])
def test_over_the_core_set_the_verdict_is_over_seeds_and_tasks_of_all_suites(make, monkeypatch, other, verdict):
    suites = (WIDE, other)
    monkeypatch.setattr(overall, "CORE_SUITES", suites)
    records = [
        make(method, seed, suite=suite, level=level)
        for method, level in (("bc", 20), ("x", 60))
        for suite in suites
        for seed in range(3)
    ]
    shelf = SuiteShelf([cached_suite(suite) for suite in suites])
    report = compare_methods(records, "x", "bc", shelf=shelf)
    (core,) = [each for each in report.core if each.track == "few-shot"]
    matrices = {
        (suite, method): np.array([[s.mean() for s in scores_by_task(r)] for r in records if named(r, suite, method)])
        for suite in suites
        for method in ("x", "bc")
    }
    contrasts = [compare_methods_on(matrices[suite, "x"], matrices[suite, "bc"]) for suite in suites]
    assert core.difference.interval == pytest.approx(average_contrasts(contrasts).find_interval(), abs=1e-5)
    assert core.verdict == verdict  # a suite with too few tasks leaves none
    assert core.missing == ()


def named(record, suite, method):
    return (record.result.cell.suite, record.result.cell.method) == (suite, method)


def scores_by_task(record):
    """Of each test task the normalised scores, few-shot at 3 shots."""
    suite = cached_suite(record.result.cell.suite)
    (block,) = [b for b in record.result.blocks if (b.split, b.track, b.shots) == ("test", "few-shot", 3)]
    scores = {}
    for row in block.rows:
        scores.setdefault(row.task, []).extend(suite.normalised([row.task], [row.total_return]))
    return [np.array(scores[task]) for task in sorted(scores)]


@pytest.mark.parametrize(
    ("metric", "rule", "note"),
    [
        ("success", "last", ("tiny: success at the last step, 0 as of random actions and 100 as of the expert",)),
        ("success", "any", ("tiny: success at any step, 0 as of random actions and 100 as of the expert",)),
        ("success", None, ("tiny: success at any step, in per cent",)),
        ("normalised", None, ()),
    ],
)
def test_a_table_says_which_success_its_scores_are_of(make, metric, rule, note):
    report = compare_methods([make("bc"), make("x")], "bc", "x")
    changed = [each.model_copy(update={"metric": metric, "success_rule": rule}) for each in report.comparisons]
    sheets = make_summary_sheets(report.model_copy(update={"comparisons": tuple(changed)}))
    assert sheets
    assert all(sheet.notes == note for sheet in sheets)


def test_suites_that_only_one_has_are_named_with_their_versions(make):
    records = [make("bc"), make("x"), make("bc", suite="point-robot")]
    notes = compare_methods(records, "bc", "x").notes
    assert f"left out, only bc has records there: point-robot-v{load_suite('point-robot').entry.version}" in notes
