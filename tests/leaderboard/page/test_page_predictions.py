"""The view of world models: errors beside the control, verdicts, curves, links, files, small screens."""

import csv
import io
import json
from xml.etree import ElementTree

import numpy as np
import pytest

from metabench.leaderboard.build import build_leaderboard
from metabench.leaderboard.export.text_tables import format_rank
from metabench.leaderboard.scores.quotas import SuiteShelf

from ...synthetic_predictions import make_predictions
from ...synthetic_records import WIDE, cached_suite, resealed, synthetic_record
from .test_page_questions import save

pytestmark = pytest.mark.slow

HOSTILE = "<img src=x onerror=\"document.title='owned'\">"
MODELS = {
    "oswm-plus": {"error": 0.3, "growth": 1.4, "learning": 0.8, "inside": (0.47, 0.86)},
    "twm-plus": {"error": 0.302, "growth": 1.4, "learning": 0.8, "inside": (0.31, 0.66)},
    HOSTILE: {"error": 0.9, "growth": 1.5},
}
TITLES = ["#", "Method", "1 stepahead", "5 stepsahead, ranked", "15 stepsahead"]


def make_predicting(method, seed, *, keep=lambda block: block, **options):
    generator = np.random.default_rng([seed, len(method)])
    record = synthetic_record(method, seed, suite=WIDE, keep=keep)
    return resealed(record, predictions=(make_predictions(generator=generator, **options),))


def build(records, write, folder):
    write(records, folder / "records")
    return folder / "index.html", build_leaderboard(folder / "records", folder, SuiteShelf([cached_suite(WIDE)]))


@pytest.fixture(scope="module")
def site(write, tmp_path_factory):
    records = [make_predicting(name, seed, **options) for name, options in MODELS.items() for seed in range(3)]
    # One that only predicted, and of whose second seed nothing is known.
    records += [make_predicting("kernel-model", 0, error=0.6, keep=lambda _: None), synthetic_record("bc", suite=WIDE)]
    records += [synthetic_record("kernel-model", 1, suite=WIDE, keep=lambda _: None)]
    return build(records, write, tmp_path_factory.mktemp("site"))


def find_standings(board, steps, *, predicted="rewards", shots=1):
    chosen = (predicted, shots, steps)
    (found,) = [each for each in board.predictions if (each.predicted, each.shots, each.steps) == chosen]
    return {standing.label: standing for standing in found.standings}


def format_error(estimate):
    low, high = estimate.interval or (None, None)
    return [f"{estimate.mean:.2f}", "" if low is None else f"[{low:.2f}, {high:.2f}]"]


def test_the_table_has_every_error_beside_the_control(site, browser):
    page, board = site
    browser.open(page)
    browser.click("#view-prediction")
    browser.run("document.querySelector('input[value=rewards]').click()")
    browser.run("document.querySelector('input[name=shots][value=\"1\"]').click()")
    assert browser.texts("#board thead th") == [*TITLES, "Verdict", "Seeds", "Inside 50 %", "Inside 90 %"]
    names = browser.texts("#board .title")
    assert set(names) == {*MODELS, "kernel-model", "training mean"}
    assert names[2:4] == ["kernel-model", "training mean"]  # in their places by the error 5 steps ahead
    ranked = find_standings(board, 5)
    for place, name in enumerate(names):
        row = browser.texts(f"#board tbody tr:nth-child({place + 1}) td")
        if name == "training mean":
            assert row == ["–", *["1.00", ""] * 3, "–", "–", "–", "–"]
            continue
        assert row[0] == format_rank(ranked[name])
        for column, steps in enumerate((1, 5, 15)):
            value, interval = format_error(find_standings(board, steps)[name].error)
            assert row[1 + 2 * column] == value + (interval if steps == 5 else "")  # again, for small screens
            assert row[2 + 2 * column] == interval
        assert row[8] == str(len(ranked[name].seeds))
        inside = MODELS.get(name, {}).get("inside")
        assert row[9:] == (["–", "–"] if inside is None else [f"{100 * share:.0f} %" for share in inside])
    assert browser.texts("#board .why") == ["seed 1: not predicted"]
    best, other = names[:2]
    assert browser.texts("#about .answer") == [
        f"No method is first: {best} has the lowest error, and 2 of 3 others cannot be told from it "
        f"({other}, kernel-model)."
    ]
    (about,) = [text for text in browser.texts("#about p") if text.startswith("Every error is relative")]
    assert "always saying the mean reward of the training tasks, so that the control has 1.00" in about


def test_only_what_is_first_is_bold_and_what_ranks_can_be_chosen(write, tmp_path, browser):
    models = {"near": {"error": 0.1, "growth": 3.0}, "far": {"error": 0.3, "growth": 1.2}}
    records = [make_predicting(name, seed, **options) for name, options in models.items() for seed in range(3)]
    page, _ = build(records, write, tmp_path)
    weights = (
        "return [...document.querySelectorAll('#board tbody td.value')].map((c) => getComputedStyle(c).fontWeight)"
    )
    for steps, first in ((1, "near"), (15, "far")):
        browser.open(page, f"#view=prediction&steps={steps}")
        assert browser.texts("#about .answer") == [
            f"{first} is first: better than the other method, over seeds and tasks."
        ]
        assert browser.texts("tr.first .title") == [first]
        bold = [weight == "600" for weight in browser.run(weights)]
        assert bold == [index == (1, 5, 15).index(steps) for index in range(3)] + [False] * 6
    browser.run("document.querySelector('input[name=steps][value=\"5\"]').click()")
    assert "Rank and verdict are of the error 5 steps ahead." in browser.texts("#about p")[1]


def test_marks_stand_at_the_logarithms_of_errors_and_the_control_at_1(site, browser):
    page, board = site
    errors = {
        "steps": [(steps, find_standings(board, steps, shots=3)["oswm-plus"].error.mean) for steps in (1, 5, 15)],
        "shots": [(shots, find_standings(board, 5, shots=shots)["oswm-plus"].error.mean) for shots in (0, 1, 3)],
    }
    for figure, values in errors.items():
        browser.open(page, f"#view=prediction&predicted=rewards&figure={figure}")
        labels = [shorten(HOSTILE), "kernel-model", "oswm-plus", "twm-plus"]
        assert sorted(browser.texts("#figure text.label")) == sorted(labels)
        marks = browser.run(
            """return [...document.querySelectorAll("#figure .hit")]
            .filter((mark) => mark.ariaLabel.startsWith("oswm-plus,"))
            .map((mark) => [Number(mark.getAttribute("cx")), Number(mark.getAttribute("cy")), mark.ariaLabel]);"""
        )
        assert [f"{value:.2f}" in text for (_, value), (_, _, text) in zip(values, marks, strict=True)] == [True] * 3
        for axis, told in ((0, [x for x, _ in values]), (1, [np.log(y) for _, y in values])):
            slope, start = np.polyfit(told, [mark[axis] for mark in marks], 1)
            np.testing.assert_allclose([mark[axis] for mark in marks], start + slope * np.array(told), atol=1.0)
        reference = "return Number(document.querySelector('#figure line.reference').getAttribute('y1'))"
        assert browser.run(reference) == pytest.approx(start, abs=2.0)  # where the logarithm is 0
        assert browser.texts("#figure text.reference") == ["control: training mean"]


def test_errors_stand_against_the_score_of_acting_with_as_many_episodes(site, browser):
    page, board = site
    for shots, track in ((0, "zero-shot"), (3, "logged-shot")):
        browser.open(page, f"#view=prediction&predicted=rewards&shots={shots}&figure=acting")
        marks = browser.run(
            """return Object.fromEntries([...document.querySelectorAll("#figure .hit")].map((mark) =>
            [mark.ariaLabel.split(",")[0], [Number(mark.getAttribute("cx")), Number(mark.getAttribute("cy"))]]))"""
        )
        # One only predicted, one only acted: neither has both.
        errors = {name: each.error for name, each in find_standings(board, 5, shots=shots).items()}
        scores = {
            e.label: e.headline.mean for e in board.entries if (e.track, e.shots, e.split) == (track, shots, "test")
        }
        names = sorted(errors.keys() & scores.keys() - {"kernel-model"})
        assert sorted(marks) == names
        for axis, told in ((0, [np.log(errors[name].mean) for name in names]), (1, [scores[name] for name in names])):
            found = [marks[name][axis] for name in names]
            slope, start = np.polyfit(told, found, 1)
            np.testing.assert_allclose(found, start + slope * np.array(told), atol=1.0)
            assert slope > 0 if axis == 0 else slope < 0
    browser.open(page, "#view=prediction&predicted=rewards&shots=1&figure=acting")
    (note,) = browser.texts("#figure .note")
    assert note.startswith("Nothing to draw")


def shorten(name):
    return name if len(name) <= 27 else name[:26] + "…"


def test_errors_by_behaviour_and_steps_seen_are_a_table(site, browser):
    page, board = site
    browser.open(page, "#view=prediction&figure=conditions&predicted=rewards&shots=1")
    conditions = find_standings(board, 5)["oswm-plus"].conditions
    assert browser.texts("#figure thead th")[1:] == [
        f"{each.behaviour}after {each.prefix} steps" for each in conditions
    ]
    row = browser.texts("#figure tbody th").index("oswm-plus")
    cells = browser.texts(f"#figure tbody tr:nth-child({row + 1}) td")
    assert {len(cell) for cell in cells} == {len("0.33")}
    assert [float(cell) for cell in cells] == pytest.approx([each.error for each in conditions], abs=0.00505)


@pytest.mark.parametrize(
    ("address", "notice"),
    [
        ("suite=wde-v1", "suite “wde-v1”, which is not here. Shown instead: wide-v1, the nearest name."),
        ("predicted=reward", "predicted “reward”, which is not here. Shown instead: rewards, the nearest name."),
        ("shots=12", "shots “12”, which is not here. Shown instead: 1, the nearest name."),
        ("figure=step", "figure “step”, which is not here. Shown instead: steps, the nearest name."),
        ("figure=profile", "figure “profile”, which is not here. Shown instead: steps."),
    ],
)
def test_a_wrong_link_says_so_and_names_the_nearest(site, browser, address, notice):
    page, _ = site
    browser.open(page, f"#view=prediction&{address}")
    assert browser.texts("#astray p") == [f"The link asks for {notice}"]
    browser.run("document.querySelector('input[name=steps][value=\"1\"]').click()")
    assert browser.texts("#astray p") == []


def test_links_lead_in_and_out_and_back(site, browser):
    page, _ = site
    browser.open(page, "#view=prediction&suite=wide-v1&predicted=rewards&shots=0&steps=15&sort=error-1&find=wm")
    assert browser.texts("#astray p") == []
    assert set(browser.texts("#board .title")) == {"oswm-plus", "twm-plus", "training mean"}
    assert browser.texts("[aria-sort=ascending]") == ["1 stepahead"]
    browser.run("document.querySelector('input[name=predicted][value=observations]').click()")
    assert "no change" in browser.texts("#board .title")
    browser.driver.back()
    assert "training mean" in browser.texts("#board .title")
    assert browser.run("return document.querySelector('input[name=steps]:checked').value") == "15"
    browser.run("[...document.querySelectorAll('#board a')].find((link) => link.textContent === 'oswm-plus').click()")
    browser.wait(".panel .strip")  # how it acts
    browser.click("#view-prediction")
    assert "view=prediction" in browser.run("return location.hash")
    browser.driver.back()
    browser.wait(".panel .strip")


def test_names_of_html_appear_as_text_and_all_is_named(site, browser):
    page, _ = site
    for figure in ("steps", "conditions"):
        browser.open(page, f"#view=prediction&figure={figure}", width=400)
        assert HOSTILE in browser.texts("#board .title")
        assert HOSTILE in browser.texts("#figure .legend li, #figure tbody th")
        assert browser.texts("img") == []
        assert browser.run("return document.title") == "metabench leaderboard"
        count = "return document.querySelectorAll('{}').length"
        assert browser.run(count.format("th:not([scope])")) == 0
        assert browser.run(count.format("table")) == len(browser.texts("table > caption"))
        nameless = "(node) => !node.textContent && !node.ariaLabel"
        assert browser.run(f"return [...document.querySelectorAll('button, a[href]')].filter({nameless})") == []


def test_tables_and_plots_are_saved(site, browser, tmp_path):
    page, board = site
    browser.open(page, "#view=prediction&predicted=rewards&shots=1")
    lines = list(csv.DictReader(io.StringIO(save(browser, tmp_path, "csv"))))
    assert {line["label"] for line in lines} == {*MODELS, "kernel-model"}
    (line,) = [line for line in lines if line["label"] == "oswm-plus"]
    for steps in (1, 5, 15):
        error = find_standings(board, steps)["oswm-plus"].error
        told = (float(line[f"error_{steps}{end}"]) for end in ("", "_low", "_high"))
        assert tuple(told) == (error.mean, *error.interval)
    assert (line["suite"], line["suite_version"], line["seeds"], line["control"]) == (
        *("wide", "1", "0 1 2"),
        "training-mean",
    )
    rows = json.loads(save(browser, tmp_path, "json"))["rows"]
    ranked = find_standings(board, 5)["oswm-plus"]
    (row,) = [row for row in rows if row["label"] == "oswm-plus"]
    assert row["error_5"] == ranked.error.model_dump(mode="json")
    assert (row["inside_50"], row["rank_best"], row["ranked_by_steps"]) == (ranked.inside_50, ranked.rank[0], 5)
    text = save(browser, tmp_path, "tex")
    half = (ranked.error.interval[1] - ranked.error.interval[0]) / 2
    assert rf"{ranked.error.mean:.2f} $\pm$ {half:.2f}" in text
    # Shares inside are left to the other forms, or the table would not fit a text column.
    assert r"-- & training mean (control) & 1.00 & 1.00 & 1.00 & -- & -- \\" in text
    assert "inside" not in text
    heading, rule = save(browser, tmp_path, "md").split("\n")[2:4]
    assert "inside 50 %" in heading
    assert heading.count("|") == rule.count("|")
    plot = save(browser, tmp_path, "svg")
    root = ElementTree.fromstring(plot)
    written = {node.text for node in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"oswm-plus", "twm-plus", "kernel-model", "control: training mean", "steps ahead"} <= written
    assert "var(" not in plot


@pytest.mark.parametrize("width", [400, 800, 1400])
def test_no_width_cuts_the_table_or_hides_the_ranked_interval(site, browser, width):
    page, _ = site
    cut = """return [document.documentElement, document.querySelector("#board .scroll")]
        .map((node) => node.scrollWidth - node.clientWidth)"""
    shown = """return [...document.querySelectorAll("#board tr:first-child :is(.within, td.bounds span)")]
        .filter((node) => node.getClientRects().length).map((node) => node.textContent)"""
    for figure in ("steps", "conditions"):
        browser.open(page, f"#view=prediction&find=wm&figure={figure}", width=width, dark=width == 800)
        assert browser.run(cut) == [0, 0]
        found = browser.run(shown)
        assert len(found) == (3 if width == 1400 else 1)
        assert all(text.startswith("[") for text in found)


def test_cells_are_right_or_wrong(write, tmp_path, browser):
    page, board = build([make_predicting("oswm-plus", 0, error=0.2, cells=True)], write, tmp_path)
    browser.open(page, "#view=prediction&predicted=observations")
    assert "observations are right or wrong" in browser.texts("#about li")
    assert browser.texts("#about .answer") == ["oswm-plus is alone: nothing to compare it with."]
    error = find_standings(board, 5, predicted="observations", shots=3)["oswm-plus"].error.mean
    assert error == pytest.approx(0.2**2, abs=0.004)  # no root: wrong ones, of those that the control has wrong
    assert browser.texts("#board td.headline")[0] == f"{error:.3f}"  # as errors here are small


def test_an_older_version_has_the_same_label_as_on_the_other_boards(write, tmp_path):
    newer = make_predicting("twm-plus", 0, error=0.3)
    older = make_predicting("twm-plus", 0, error=0.6)
    older = resealed(older, cell=older.result.cell.model_copy(update={"method_version": 0}))
    _, board = build([newer, older], write, tmp_path)
    assert set(find_standings(board, 5)) == {"twm-plus", "twm-plus (version 0)"}
