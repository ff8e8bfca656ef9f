"""Two methods compared, against SciPy and sums done by hand."""

import csv
import io
import json
from collections import Counter

import jsonschema
import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner

from metabench.cli import app
from metabench.errors import MetabenchError, UnknownNameError
from metabench.evaluation.verdicts import compare_methods_on
from metabench.leaderboard.compare.compare import compare_methods
from metabench.leaderboard.compare.export import COMPARISON_FORMATS, export_comparison
from metabench.leaderboard.compare.models import Comparison
from metabench.leaderboard.compare.selection import Selection
from metabench.leaderboard.scores import overall
from metabench.suites import load_suite

SUITE = load_suite("point-robot")


def normalised(record, track, shots):
    """`(tasks, episodes)` normalised scores of a record's block in split `test`."""
    (block,) = [b for b in record.result.blocks if (b.split, b.track, b.shots) == ("test", track, shots)]
    scores = {}
    for row in block.rows:
        reference = SUITE.tasks[row.task].reference
        score = 100 * (row.total_return - reference.random) / (reference.expert - reference.random)
        scores.setdefault(row.task, []).append(score)
    return np.array([scores[task] for task in sorted(scores)])


@pytest.fixture(scope="module")
def records(make):
    levels = {"bc": (20, 5), "meta-dt": (26, 5), "random": (0, 3)}
    return [
        make(method, seed, suite="point-robot", level=level, noise=20.0)
        for method, (level, seeds) in levels.items()
        for seed in range(seeds)
    ]


@pytest.fixture(scope="module")
def report(records):
    return compare_methods(records, "meta-dt", "bc")


def of(report, track="few-shot", shots=3):
    (found,) = [each for each in report.comparisons if (each.track, each.shots) == (track, shots)]
    return found


def test_the_difference_has_an_interval_over_seeds_and_tasks_and_welchs_over_seeds(report, records):
    matrices = [
        np.array([normalised(r, "few-shot", 3).mean(axis=1) for r in records if r.result.cell.method == method])
        for method in ("meta-dt", "bc")
    ]  # (seeds, tasks) each
    first, second = (matrix.mean(axis=1) for matrix in matrices)
    found = of(report)
    expected = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    contrast = compare_methods_on(*matrices)
    assert found.difference.mean == pytest.approx(np.mean(first) - np.mean(second), abs=1e-5)
    assert found.difference.interval == pytest.approx(contrast.find_interval(), abs=1e-5)
    assert found.difference.seed_interval == pytest.approx((expected.low, expected.high), abs=1e-5)
    assert list(found.first.seeds.values()) == pytest.approx(first, abs=1e-5)
    share = stats.mannwhitneyu(first, second).statistic / 25
    assert found.probability_of_improvement == pytest.approx(share, abs=1e-6)
    assert contrast.find_interval()[0] > 0
    assert found.verdict == "better"


def test_tasks_are_compared_by_their_seeds_means(report, records):
    matrices = [
        np.array([normalised(r, "zero-shot", 0).mean(axis=1) for r in records if r.result.cell.method == method])
        for method in ("meta-dt", "bc")
    ]
    found = of(report, "zero-shot", 0)
    assert [task.task for task in found.tasks] == [task.id for task in SUITE.split("test")]
    shares = []
    for column, task in enumerate(found.tasks):
        first, second = matrices[0][:, column], matrices[1][:, column]
        expected = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
        assert task.first.mean == pytest.approx(first.mean(), abs=1e-5)
        assert task.difference.interval is None
        assert task.difference.seed_interval == pytest.approx((expected.low, expected.high), abs=1e-5)
        shares.append(stats.mannwhitneyu(first, second).statistic / 25)
        assert task.probability_of_improvement == pytest.approx(shares[-1], abs=1e-6)
    whole = found.rliable_probability_of_improvement
    assert whole.mean == pytest.approx(np.mean(shares), abs=1e-6)
    assert whole.interval[0] <= whole.mean <= whole.interval[1]
    above = dict(zip(found.first.profile.thresholds, found.first.profile.shares, strict=True))
    assert above[25.0] == pytest.approx((matrices[0] > 25).mean(), abs=1e-6)


def test_the_other_way_round_is_the_mirror_image(report, records):
    mirrored = compare_methods(records, "bc", "meta-dt")
    for one, two in zip(report.comparisons, mirrored.comparisons, strict=True):
        low, high = one.difference.interval
        assert two.difference.interval == pytest.approx((-high, -low), abs=2e-6)
        assert one.probability_of_improvement + two.probability_of_improvement == pytest.approx(1)


def test_by_default_the_headline_shots_of_the_split_test(report, records):
    assert [(each.track, each.shots) for each in report.comparisons] == [
        ("zero-shot", 0),
        ("few-shot", 3),
        ("logged-shot", 3),
    ]
    chosen = Selection(split="test-far", tracks=("few-shot", "logged-shot"), shots=(3,))
    found = compare_methods(records, "meta-dt", "bc", chosen)
    assert [(each.split, each.track) for each in found.comparisons] == [
        ("test-far", "few-shot"),
        ("test-far", "logged-shot"),
    ]
    curve = compare_methods(records, "meta-dt", "bc", Selection(tracks=("few-shot",), shots=(1, 5)))
    assert [each.shots for each in curve.comparisons] == [1, 5]


def test_presets_are_mixed_only_if_both_are_written_out(make):
    records = [
        make(method, seed, preset=preset) for method in ("bc", "x") for preset in ("cpu", "demo") for seed in (0, 1)
    ]
    presets = [(each.first.preset, each.second.preset) for each in compare_methods(records, "bc", "x").comparisons]
    assert Counter(presets) == {("cpu", "cpu"): 3, ("demo", "demo"): 3}
    for first, second, preset in (("bc@demo", "x", None), ("bc", "x@demo", None), ("bc", "x", "demo")):
        found = compare_methods(records, first, second, preset=preset)
        assert {(each.first.preset, each.second.preset) for each in found.comparisons} == {("demo", "demo")}
    mixed = compare_methods(records, "bc@cpu", "bc@demo")
    assert {(each.first.preset, each.second.preset) for each in mixed.comparisons} == {("cpu", "demo")}
    assert any(note.startswith("presets differ") for note in mixed.notes)


def test_other_data_and_other_versions_of_a_suite_are_never_compared(make):
    records = [make("bc"), make("x", cell={"dataset_digest": "sha256:" + "2" * 64})]
    with pytest.raises(MetabenchError, match="nothing to compare: bc has records in tiny medium"):
        compare_methods(records, "bc", "x")
    records = [make("bc"), make("x"), make("x", 1, cell={"suite_digest": "sha256:" + "1" * 64})]
    found = compare_methods(records, "bc", "x")
    assert len(found.comparisons) == 3
    assert all(list(each.second.seeds) == [0] for each in found.comparisons)
    assert any("left out, x: made with tiny-v1 11111111" in note for note in found.notes)


def test_a_name_is_the_presets_own_configuration_unless_another_is_written(make):
    own, changed = {"layers": 3}, {"layers": 9}
    records = [make("bc", configuration=own), make("x")]
    records.append(make("bc", 1, configuration=changed, overrides=changed, level=90))
    assert list(compare_methods(records, "bc", "x").comparisons[0].first.seeds) == [0]
    digest = records[2].result.cell.config_digest[7:12]
    found = compare_methods(records, f"bc#{digest}", "x").comparisons[0].first
    assert (found.label, list(found.seeds)) == ("bc (layers=9)", [1])
    own_digest = records[0].result.cell.config_digest[7:12]
    with pytest.raises(MetabenchError, match="are the same records"):
        compare_methods(records, "bc", f"bc#{own_digest}")
    twins = [*records[1:], make("bc", 2, configuration={"layers": 1}, overrides={"layers": 1})]
    with pytest.raises(MetabenchError, match=r"several configurations in tiny: bc#\w{8} \(bc \(layers=\d\)\), bc#"):
        compare_methods(twins, "bc", "x")


def test_a_method_that_stands_in_two_codes_is_chosen_by_its_code(make):
    codes = ["sha256:" + digit * 64 for digit in "ab"]
    records = [make("mine", 0, cell={"method_code": code}) for code in codes]
    with pytest.raises(MetabenchError, match=r"mine stands for several codes in tiny: mine#a{8} \(.*\), mine#b{8} \("):
        compare_methods([*records, make("bc")], "mine", "bc")
    found = compare_methods(records, "mine#bbb", "mine#aaaa").comparisons[0]
    assert (found.first.label, found.second.label) == ("mine [code bbbbbbbb]", "mine [code aaaaaaaa]")
    with pytest.raises(MetabenchError, match="unknown configuration or code in the records of mine 'ccc'"):
        compare_methods(records, "mine#ccc", "mine#aaa")
    other = {"configuration": {"layers": 1}, "overrides": {"layers": 1}}
    records += [make("mine", 0, cell={"method_code": code}, **other) for code in codes]
    own, config = (records[place].result.cell.config_digest[7:12] for place in (0, -1))
    both = compare_methods(records, f"mine#{config}#aaa", f"mine#{own}#bbb").comparisons[0]
    assert (both.first.label, both.second.label) == ("mine (layers=1) [code aaaaaaaa]", "mine [code bbbbbbbb]")


def test_the_newest_version_of_a_method_is_meant(make):
    records = [make("bc", cell={"method_version": version}) for version in (1, 2)]
    found = compare_methods([*records, make("x")], "bc", "x")
    assert {each.first.method_version for each in found.comparisons} == {2}


@pytest.mark.parametrize(
    ("first", "selection", "expected"),
    [
        ("meta-d", {}, "unknown method with records 'meta-d'; did you mean 'meta-dt'"),
        ("bc@paper", {}, "unknown preset in the records of bc 'paper'; known: cpu"),
        ("bc#zz", {}, "unknown configuration or code in the records of bc 'zz'"),
        ("bc", {"suites": ("point-robo",)}, "did you mean 'point-robot'"),
        ("bc", {"dataset": "mediun"}, "did you mean 'medium'"),
        ("bc", {"tracks": ("few-shots",)}, "did you mean 'few-shot'"),
        ("bc", {"split": "test_far"}, "did you mean 'test-far'"),
        ("random", {}, "random and random are the same"),
        ("random@cpu", {}, "random@cpu and random are the same"),
        ("@cpu", {}, "expected METHOD"),
        ("bc", {"shots": (4,)}, r"share no complete seeds of test zero-shot, few-shot, logged-shot \(4 shots\)"),
    ],
)
def test_mistakes_name_the_nearest(records, first, selection, expected):
    with pytest.raises(MetabenchError, match=expected):
        compare_methods(records, first, "random", Selection(**selection))


def test_over_the_core_set_means_are_over_suites(make, monkeypatch):
    monkeypatch.setattr(overall, "CORE_SUITES", ("tiny", "point-robot", "reach"))
    records = [
        make(method, seed, suite=suite, level=level)
        for method, level in (("bc", 20), ("x", 30))
        for suite, seeds in (("tiny", 5), ("point-robot", 6))
        for seed in range(seeds)
    ]
    report = compare_methods(records, "x", "bc")
    (core,) = [each for each in report.core if each.track == "few-shot"]
    suites = {each.suite: each for each in report.comparisons if each.track == "few-shot"}
    assert core.missing == ("reach",)
    assert core.verdict is None  # the number is not the core set's while a suite is missing
    differences = [each.difference.mean for each in suites.values()]
    assert core.difference.mean == pytest.approx(np.mean(differences), abs=2e-6)
    parts = [
        (np.var(list(side.seeds.values()), ddof=1) / len(side.seeds) / 4, len(side.seeds) - 1)
        for each in suites.values()
        for side in (each.first, each.second)
    ]
    variance = sum(part for part, _ in parts)
    freedom = variance**2 / sum(part**2 / below for part, below in parts)
    half = stats.t.ppf(0.975, freedom) * np.sqrt(variance)
    expected = (core.difference.mean - half, core.difference.mean + half)
    assert core.difference.seed_interval == pytest.approx(expected, abs=1e-5)
    assert core.difference.interval is None  # `tiny` has one test task, of which nothing is known on others
    shares = np.mean([each.first.profile.shares for each in suites.values()], axis=0)
    assert core.first_profile.shares == pytest.approx(shares.tolist(), abs=1e-6)
    assert compare_methods(records, "x", "bc", Selection(suites=("tiny",))).core == ()


def test_every_format_holds_the_numbers_and_json_follows_its_schema(report):
    found = of(report)
    low, high = found.difference.interval
    shown = f"{found.difference.mean:+.1f}", f"{low:+.1f}, {high:+.1f}"
    texts = {form: export_comparison(report, form) for form in COMPARISON_FORMATS}
    for form in ("latex", "markdown"):
        assert all(part in texts[form] for part in shown)
        assert texts[form].count("task by task") == texts[form].count("performance profile") == 3
        assert "P: probability of improvement" in texts[form]
    assert texts["latex"].count(r"\toprule") == texts["latex"].count(r"\bottomrule") == 9
    content = json.loads(texts["json"])
    schema = Comparison.model_json_schema(mode="serialization")
    jsonschema.Draft202012Validator(schema).validate(content)
    assert Comparison.model_validate(content) == report
    lines = list(csv.DictReader(io.StringIO(texts["csv"])))
    assert Counter(line["scope"] for line in lines) == {"suite": 3, "task": 3 * len(SUITE.split("test"))}
    (line,) = [line for line in lines if (line["scope"], line["track"]) == ("suite", "few-shot")]
    assert (float(line["difference_low"]), float(line["difference_high"])) == (low, high)
    seeds = (float(line["difference_seed_low"]), float(line["difference_seed_high"]))
    assert seeds == found.difference.seed_interval
    with pytest.raises(UnknownNameError, match="did you mean 'latex'"):
        export_comparison(report, "latx")


@pytest.mark.slow
def test_the_verb_prints_tables_of_80_columns_and_writes_files(records, write, tmp_path, monkeypatch):
    write(records, tmp_path / "leaderboard/records")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments):
        return CliRunner().invoke(app, ["compare", "meta-dt", "bc", *arguments])

    short = run("--track", "few-shot")
    assert short.exit_code == 0, short.output
    assert "task by task" not in short.output
    headings = [line for line in short.output.splitlines() if line.startswith("suite")]
    assert headings
    assert all(line.rstrip().endswith("verdict") for line in headings)
    assert "\npoint-" in short.output
    for text in (short.output, run("--track", "few-shot,zero-shot", "--suite", "point-robot").output):
        assert all(len(line) <= 80 for line in text.splitlines() if "─" in line or "point-robot " in line)
        assert text.count("medium, preset cpu: test few-shot, 3 shots\n") == 1
    assert text.count("task by task") == text.count("performance profile") == 2
    assert run("--format", "csv", "--output", "out.csv").output == ""
    assert (tmp_path / "out.csv").read_text().startswith("scope,suite,")
    run("--output", "out.txt")
    assert "difference: first minus second" in (tmp_path / "out.txt").read_text()


def test_long_names_are_folded_and_leave_room_for_the_rest(make, write, tmp_path, monkeypatch):
    name = "meta-dt/no_complementary_prompt"
    write([make(name, overrides={"x": True}), make("teacher", privileged=True)], tmp_path / "leaderboard/records")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    text = CliRunner().invoke(app, ["compare", name, "teacher"]).output
    assert "…" not in text
    assert "(privileged)" in text
    assert all(len(line) <= 80 for line in text.splitlines() if "─" in line)
