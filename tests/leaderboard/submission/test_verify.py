"""Records measured again: equal here, within an interval elsewhere, and in tasks that nobody has seen."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from metabench.errors import DataError, MetabenchError
from metabench.evaluation.rows import Row
from metabench.leaderboard.scores.quotas import SuiteShelf
from metabench.leaderboard.submission.fresh_tasks import LEAST_FRESH, make_fresh_suite
from metabench.leaderboard.submission.rows_agree import compare_by_interval, compare_with_seeds, prediction_interval
from metabench.leaderboard.submission.verify import Verifier
from metabench.runs.isolation.isolated_policy import confinement_gaps
from metabench.runs.kept.record import make_record, read_record, write_record
from metabench.suites import load_suite

pytestmark = pytest.mark.slow


HERE = Path(__file__).parent
SMALL = f"{HERE.parents[1] / 'runs' / 'small_methods.py'}:Small"
MEMORISING = f"{HERE / 'memorising_method.py'}:Memorising"


@pytest.fixture
def verify(public_tiny, trained):
    """Verify a record or folder, in this process if not told otherwise."""

    def run(place, method=SMALL, **options):
        return list(
            Verifier(method=method, **{"isolate": False, "shelf": SuiteShelf([public_tiny]), **options}).verify(place)
        )

    return run


def move_elsewhere(record, **changes):
    """`record` as if another machine had made it."""
    provenance = record.provenance.model_copy(update={"host": "another processor, 64 cores, Linux x86_64"})
    return make_record(record.result.model_copy(update=changes), provenance)


def shift(blocks, by):
    """The blocks, all returns changed."""
    return tuple(
        block.model_copy(update={"rows": tuple(row._replace(total_return=row.total_return + by) for row in block.rows)})
        for block in blocks
    )


def only_zero_shot(record):
    """What changes a record into one of that track only: each track takes an evaluation."""
    return {"blocks": tuple(block for block in record.result.blocks if block.track == "zero-shot"), "collections": ()}


def test_rows_are_equal_on_the_same_machine(verify, real):
    (found,) = verify(real("small", 0))
    assert found.agrees
    assert found.rule.startswith("saved policy: rows must be equal, as machine, threads and versions are those")
    *rows, lanes = found.verdicts
    assert len(rows) == 8 + 2
    assert all("rows equal" in verdict.text for verdict in rows)
    replays = 2 * (1 + 1) + (5 + 3) + (3 + 1)  # zero-shot and logged-shot, few-shot, few-shot in test-far
    assert lanes.text == f"{replays} lanes acted again in other company, {20 * replays} actions equal"


def test_a_tampered_row_is_found(verify, real, seal, tmp_path):
    record = read_record(real("small", 0))
    zero_shot = only_zero_shot(record)
    block = zero_shot["blocks"][0]
    rows = (block.rows[0], block.rows[1]._replace(total_return=block.rows[1].total_return + 1e-9))
    zero_shot["blocks"] = (block.model_copy(update={"rows": rows}), *zero_shot["blocks"][1:])
    write_record(seal(record, **zero_shot), tmp_path / "0.json")
    (found,) = verify(tmp_path)
    assert not found.agrees
    assert [verdict.agrees for verdict in found.verdicts] == [False, True, True]
    assert found.verdicts[0].subject == "test zero-shot"
    assert found.verdicts[0].text.startswith("1 of 2 rows differ, first in task 2, episode 1/0: published ")


def test_elsewhere_the_mean_difference_must_lie_within_its_interval(verify, real, tmp_path):
    record, path = read_record(real("small", 0)), tmp_path / "0.json"
    zero_shot = only_zero_shot(record)
    write_record(move_elsewhere(record, **zero_shot), path)
    (found,) = verify(path)
    assert found.agrees
    assert "the mean difference must lie within its interval, as the machine is" in found.rule
    assert "not another processor, 64 cores" in found.rule
    write_record(move_elsewhere(record, **{**zero_shot, "blocks": shift(zero_shot["blocks"], 3.0)}), path)
    (found,) = verify(path)
    assert [verdict.agrees for verdict in found.verdicts] == [False, False, True]
    assert "cannot be zero" in found.verdicts[0].text


def test_policies_must_be_those_of_the_record(verify, real, trained, tmp_path):
    with pytest.raises(DataError, match=r"holds no policy of tiny-v1/medium/small/.*0.json"):
        verify(real("small", 0), policies=tmp_path)
    saved = trained / "home" / "policies" / read_record(real("small", 1)).folder
    with pytest.raises(DataError, match="holds the policy of another cell"):
        verify(real("small", 0), policies=saved)


def test_only_a_method_that_is_named_or_installed_is_run(verify, real):
    """A saved policy says which file its method was in; a submission could bring both."""
    with pytest.raises(MetabenchError, match="unknown method 'small'"):
        verify(real("small", 0), method=None)


def test_what_cannot_be_verified_is_named(verify, real, seal, tmp_path):
    record = read_record(real("small", 0))
    write_record(seal(record, privileged=True), tmp_path / "0.json")
    with pytest.raises(DataError, match="expected some that are not privileged"):
        verify(tmp_path)
    write_record(seal(record, configuration={"updates": 3, "colour": "red"}), tmp_path / "0.json")
    with pytest.raises(DataError, match="configuration does not fit it: colour"):
        verify(tmp_path)
    cell = record.result.cell.model_copy(update={"suite_digest": "sha256:" + "0" * 64})
    write_record(seal(record, cell=cell), tmp_path / "0.json")
    with pytest.raises(DataError, match=r"0.json: suite_digest: expected sha256"):
        verify(tmp_path)


def test_a_name_in_a_record_is_no_file_to_run(verify, real, seal, tmp_path, monkeypatch):
    (tmp_path / "evil.py").write_text("raise SystemExit('ran')")
    monkeypatch.chdir(tmp_path)
    record = read_record(real("small", 0))
    cell = record.result.cell.model_copy(update={"method": "evil.py:Evil"})
    write_record(seal(record, cell=cell), tmp_path / "records" / "0.json")
    with pytest.raises(MetabenchError, match=r"unknown method 'evil.py:Evil': not installed"):
        verify(tmp_path, method=None)


def test_training_again_gives_the_same_rows(verify, real, seal, tmp_path):
    record = read_record(real("small", 1))
    write_record(seal(record, **only_zero_shot(record)), tmp_path / "1.json")
    (found,) = verify(tmp_path, retrain=True, policies=tmp_path)
    assert found.agrees
    assert found.rule.startswith("trained again: rows must be equal")


def test_a_policy_that_knows_the_published_task_fails_in_fresh_ones(verify, real):
    """In a process of its own, as by default, which does not help: the goal is in what it saved."""
    (found,) = verify(real("memorising", 0), MEMORISING, isolate=True, fresh_seed=5)
    assert [verdict.agrees for verdict in found.verdicts] == [True, True, True, False]
    assert found.verdicts[3].subject == "test zero-shot, 20 fresh tasks"
    assert ", more than " in found.verdicts[3].text


@pytest.mark.skipif(bool(confinement_gaps()), reason="this system cannot hide folders from a process")
def test_a_policy_that_looks_tasks_up_finds_none(verify, real):
    with pytest.raises(MetabenchError, match=r"datasets"):
        verify(real("memorising", 0), MEMORISING.replace(":Memorising", ":Reading"), isolate=True)


def test_an_honest_policy_scores_alike_in_fresh_tasks(verify, real):
    (found,) = verify(real("small", 0), fresh_seed=5)
    fresh = [verdict for verdict in found.verdicts if "fresh tasks" in verdict.subject]
    assert len(fresh) == 5
    assert found.agrees


def test_fresh_tasks_are_named_by_their_seed_and_have_references(public_tiny):
    made, again, other = (make_fresh_suite(public_tiny, seed, ["test"]) for seed in (1, 1, 2))
    suite, (published,) = made.suite, public_tiny.split("test")
    assert made == again
    assert suite.tasks[made.published["test"][published.id]].parameters == published.parameters
    (copy,) = [suite.tasks[task] for task in made.moved["test"].values()]
    assert 0 < np.abs(np.subtract(copy.parameters["goal"], published.parameters["goal"])).max() <= 0.4
    tasks = [suite.tasks[task] for task in made.fresh["test"]]
    assert len(tasks) == LEAST_FRESH
    assert {task.id for task in suite.split("test")} == {2, copy.id, *made.fresh["test"]}
    goals = np.array([task.parameters["goal"] for task in tasks])
    assert not np.isin(goals, [other.suite.tasks[task].parameters["goal"] for task in other.fresh["test"]]).any()
    assert (np.abs(goals) <= 1).all()
    walked = 0.1 * np.arange(1, 21)[:, None]
    best = [-np.linalg.norm(np.maximum(np.abs(goal) - walked, 0), axis=1).sum() for goal in goals]
    np.testing.assert_allclose([task.reference.expert for task in tasks], best, atol=0.2)
    assert suite.name != public_tiny.name


def test_a_suite_without_a_law_says_so():
    with pytest.raises(MetabenchError, match=r"suite tiny: suite.toml states no task_distribution.test"):
        make_fresh_suite(load_suite("tiny"), 0, ["test"])


def test_prediction_intervals_cover_what_they_promise():
    generator = np.random.default_rng(0)
    draws = generator.normal(3.0, 2.0, (4000, 25))
    inside = 0
    for known, others in zip(draws[:, :20], draws[:, 20:], strict=True):
        low, high = prediction_interval(known, 5)
        inside += low <= others.mean() <= high
    assert stats.binomtest(inside, len(draws), 0.95).pvalue > 1e-3


def rows_at(public_tiny, scores):
    """Rows in the test task, one support each, with these normalised scores."""
    reference = public_tiny.tasks[2].reference
    values = reference.random + np.asarray(scores) / 100 * (reference.expert - reference.random)
    return tuple(Row(2, support, 0, float(value), 20, None, None) for support, value in enumerate(values))


def test_intervals_of_differences(public_tiny):
    generator = np.random.default_rng(1)
    theirs = generator.normal(50, 10, 20)
    noise = generator.normal(0, 3, 20)
    noise -= noise.mean()
    half = stats.t.ppf(0.975, 19) * noise.std(ddof=1) / np.sqrt(20)
    for shift, agrees in ((0.99 * half, True), (1.01 * half, False)):
        ours = rows_at(public_tiny, theirs + noise + shift)
        verdict = compare_by_interval("x", rows_at(public_tiny, theirs), ours, public_tiny, 1)
        assert verdict.agrees is agrees, verdict.text
    same = compare_by_interval("x", rows_at(public_tiny, theirs), rows_at(public_tiny, theirs + 0.05), public_tiny, 1)
    assert same.agrees
    assert (
        compare_by_interval("x", rows_at(public_tiny, [1.0]), rows_at(public_tiny, [9.0]), public_tiny, 1).agrees
        is None
    )
    assert compare_by_interval("x", ours[1:], ours, public_tiny, 1).agrees is False


def test_another_training_elsewhere_is_judged_by_the_published_seeds(public_tiny):
    seeds = [rows_at(public_tiny, [score]) for score in (48.0, 50.0, 52.0)]
    half = stats.t.ppf(1 - 0.05 / 4, 2) * 2 * np.sqrt(1 + 1 / 3)  # two intervals, of which both have to hold
    for score, agrees in ((50 + 0.99 * half, True), (50 + 1.01 * half, False)):
        assert compare_with_seeds("x", seeds, rows_at(public_tiny, [score]), public_tiny, 1).agrees is agrees
    assert compare_with_seeds("x", seeds[:2], rows_at(public_tiny, [50.0]), public_tiny, 1).agrees is None


def test_a_score_that_is_made_up_does_not_widen_the_interval_that_it_is_judged_by(public_tiny):
    """Whether one seed is made up or all are; and seeds that spread over everything possible tell nothing."""

    def judge(published, trained):
        seeds = [rows_at(public_tiny, [score]) for score in published]
        return compare_with_seeds("x", seeds, rows_at(public_tiny, [trained]), public_tiny, 1)

    assert judge([58.0, 2.0, 3.0], 1.0).agrees is False
    assert "the record outside" in judge([58.0, 2.0, 3.0], 1.0).text
    assert judge([60.0, 61.0, 62.0], 5.0).agrees is False
    assert judge([2.0, 1.0, 3.0], 2.5).agrees is True
    assert judge([0.0, 50.0, 100.0], 50.0).agrees is None
