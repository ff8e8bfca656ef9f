"""The page's figures, its overall table and its downloads, each against numbers computed elsewhere."""

import csv
import io
import json
import time

import numpy as np
import pytest

from metabench.leaderboard.build import build_leaderboard
from metabench.leaderboard.export.formats import export_entries, select_entries
from metabench.leaderboard.page.page_content import DIGITS
from metabench.runs.kept.record_file import read_json

METHODS = {"bc": (20, 0), "meta-dt": (50, 6), "prompt_dt <&>": (35, -4)}
"""Level and gain of each; the last has a name that every format must escape."""


@pytest.fixture(scope="module")
def site(make, write, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    records = [
        make(method, seed, suite="point-robot", level=level, gain=gain, noise=30)
        for method, (level, gain) in METHODS.items()
        for seed in range(3)
    ]
    records.append(make("teacher", 0, suite="point-robot", level=100, privileged=True))
    records += [make("bc", seed, suite="cheetah-vel", level=40) for seed in range(2)]
    write(records, folder / "records")
    return folder / "index.html", build_leaderboard(folder / "records", folder)


def find_entry(board, label, **criteria):
    criteria = {"suite": "point-robot", "split": "test", "track": "few-shot", "shots": 3, **criteria}
    (entry,) = [
        entry
        for entry in board.entries
        if entry.label == label and all(getattr(entry, key) == value for key, value in criteria.items())
    ]
    return entry


def format_number(value, digits=1):
    return f"{round(value, DIGITS):.{digits}f}".replace("-", "−")


def marks(browser):
    return browser.run("return [...document.querySelectorAll('#figure .hit')].map((mark) => mark.ariaLabel)")


@pytest.mark.slow
def test_the_adaptation_curve_has_every_method_and_its_values(site, browser):
    page, board = site
    browser.open(page)
    assert sorted(browser.texts("#figure text.label")) == ["bc", "meta-dt", "prompt_dt <&>", "teacher"]
    scores = marks(browser)
    assert len(scores) == 4 * 5
    estimate = find_entry(board, "meta-dt", shots=5).headline
    low, high = estimate.interval
    assert (
        f"meta-dt, 5 shots\nScore {format_number(estimate.mean)} [{format_number(low)}, {format_number(high)}]\n3 seeds"
        in scores
    )
    browser.run("document.querySelector('#figure input[value=return]').click()")
    value = format_number(find_entry(board, "teacher", track="zero-shot", shots=0).mean_return.mean, 2)
    assert f"teacher, 0 shots\nMean return {value}\n1 seed" in marks(browser)
    assert "curve=return" in browser.run("return location.hash")


def test_the_performance_profile_is_the_share_of_runs_and_tasks_above_each_score(site, browser):
    page, board = site
    browser.open(page, "#figure=profile&track=zero-shot")
    found = marks(browser)
    entry = find_entry(board, "bc", track="zero-shot", shots=0)
    assert len(found) == 4 * len(entry.profile.thresholds)
    assert sorted(browser.texts("#figure .legend li")) == ["bc", "meta-dt", "prompt_dt <&>", "teacher"]
    records = [json.loads(read_json(path)) for path in sorted((page.parent / "records").rglob("bc/*/*.json.gz"))]
    references = {task["id"]: task["reference"] for task in load_tasks("point-robot")}
    means = []
    for record in records:
        if record["result"]["cell"]["suite"] == "point-robot":
            block = next(b for b in record["result"]["blocks"] if (b["split"], b["track"]) == ("test", "zero-shot"))
            rows = list(zip(block["rows"]["task"], block["rows"]["total_return"], strict=True))
            for task in {task for task, _ in rows}:
                returns = [value for found_task, value in rows if found_task == task]
                low, high = references[task]["random"], references[task]["expert"]
                means.append(100 * (sum(returns) / len(returns) - low) / (high - low))
    assert len(means) == 3 * 30
    for threshold in (0, 20, 25, 100):
        share = 100 * sum(mean > threshold for mean in means) / len(means)
        place = entry.profile.thresholds.index(threshold)
        band = [round(100 * end[place]) for end in (entry.profile.low, entry.profile.high)]
        assert f"bc\n{share:.0f} % of runs × tasks above {threshold} [{band[0]}, {band[1]}]" in found
        assert band[0] <= share <= band[1]
    assert len(browser.run("return document.querySelectorAll('#figure .band')")) == 3  # the teacher has one seed
    assert browser.texts("#figure text.reference") == ["random", "blind", "teacher"]


def load_tasks(name):
    from metabench.suites import load_suite

    return [task.model_dump() for task in load_suite(name).tasks]


def test_marks_stand_where_their_values_are(site, browser):
    page, board = site
    entry = find_entry(board, "bc", track="zero-shot", shots=0)
    profile = list(zip(entry.profile.thresholds, entry.profile.shares, strict=True))
    curve = [(shots, find_entry(board, "bc", shots=shots).headline.mean) for shots in (1, 3, 5, 20)]
    for address, values in (("#track=zero-shot&figure=profile", profile), ("#figure=adaptation", curve)):
        browser.open(page, address)
        places = browser.run(
            f"""return [...document.querySelectorAll("[data-id='{entry.id}'] .hit")].slice({-len(values)})
            .map((mark) => [Number(mark.getAttribute("cx")), Number(mark.getAttribute("cy"))]);"""
        )
        for axis, sign in ((0, 1), (1, -1)):
            told = np.array([value[axis] for value in values])
            slope, start = np.polyfit(told, [place[axis] for place in places], 1)
            np.testing.assert_allclose([place[axis] for place in places], start + slope * told, atol=0.2)
            assert slope * sign > 0.1


def test_every_task_is_shown_with_its_score_and_what_it_is(site, browser):
    page, board = site
    browser.open(page, "#figure=tasks")
    entry = find_entry(board, "meta-dt")
    assert browser.texts("#figure tbody th") == ["meta-dt", "prompt_dt <&>", "bc", "teacher"]
    assert browser.texts("#figure tbody tr:first-child td") == [
        format_number(value) for value in (entry.headline.mean, *(task.score.mean for task in entry.tasks))
    ]
    goal = next(task["parameters"]["goal"] for task in load_tasks("point-robot") if task["id"] == entry.tasks[0].task)
    assert browser.texts("#figure thead th")[2] == f"task {entry.tasks[0].task}" + ", ".join(
        f"{number:.3g}".replace("-", "−") for number in goal
    )
    titles = browser.run("return document.querySelector('#figure tbody td:not(.mean)').title")
    low, high = entry.tasks[0].score.interval
    assert titles == f"{format_number(entry.tasks[0].score.mean)} [{format_number(low)}, {format_number(high)}]"


@pytest.mark.slow
def test_the_overall_table_shows_gaps_sorts_and_leads_to_rows(site, browser):
    page, board = site
    browser.open(page, "#view=overall")
    suites = ["point-robot", "cheetah-vel", "ant-dir", "hopper-param", "pendulum-param", "reach"]
    assert browser.texts("#board thead th") == ["#", "Method", "Mean", *suites]
    assert browser.texts("#board .why")[0] == "4 of 6 suites missing"
    assert browser.texts("#board tbody tr:first-child td")[-4:] == ["–"] * 4
    assert browser.texts("#board td.rank") == ["–"] * 4
    browser.click("[data-sort='point-robot']")
    assert browser.texts("#board .title") == ["teacher", "meta-dt", "prompt_dt <&>", "bc"]
    browser.click("#board tbody tr:nth-child(2) a")
    browser.wait(".panel .strip")
    assert browser.run("return document.querySelector('.name[aria-expanded=true]').textContent") == "meta-dt"
    assert f'id="{find_entry(board, "meta-dt").id}"' in browser.run(
        "return document.querySelector('tr.details').previousSibling.outerHTML"
    )


def save_and_read(browser, folder, ending):
    browser.click(f"[data-form={ending}]")
    deadline = time.monotonic() + 60
    # The browser makes an empty file first, and puts the whole one in its place.
    while not (found := [path for path in folder.glob(f"*.{ending}") if path.stat().st_size]):
        assert time.monotonic() < deadline, f"nothing was saved as {ending}"
        time.sleep(0.05)
    return found[0].read_text(encoding="utf-8")


@pytest.mark.slow
def test_downloads_hold_the_numbers_that_the_command_line_exports(site, browser, tmp_path):
    page, board = site
    browser.open(page)
    browser.download_to(tmp_path)
    entries = select_entries(board.entries, suite="point-robot", split="test", track="few-shot", shots=3)
    assert save_and_read(browser, tmp_path, "tex") == export_entries(entries, "latex")
    assert save_and_read(browser, tmp_path, "md") == export_entries(entries, "markdown")
    lines = list(csv.DictReader(io.StringIO(save_and_read(browser, tmp_path, "csv"))))
    expected = {line["label"]: line for line in csv.DictReader(io.StringIO(export_entries(entries, "csv")))}
    assert [line["label"] for line in lines] == ["meta-dt", "prompt_dt <&>", "bc", "teacher"]
    for line in lines:
        told = expected[line["label"]]
        numbers = {name for name in line if name.startswith(("headline", "mean_return")) and line[name]}
        assert {name: float(line[name]) for name in numbers} == {name: float(told[name]) for name in numbers}
        floats = {name for name in line if name.startswith(("seconds_", "updates")) and line[name]}
        assert {name: float(line[name]) for name in floats} == {name: float(told[name]) for name in floats}
        assert len(floats) == 6  # all but pretraining, which is not known
        alike = set(line) - numbers - floats
        assert {name: line[name] for name in alike} == {name: told[name] for name in alike}
    content = json.loads(save_and_read(browser, tmp_path, "json"))
    assert content["title"].startswith("point-robot-v2, medium-v1 (")
    assert content["rows"][2]["headline"] == find_entry(board, "bc").headline.model_dump(mode="json")
    assert content["rows"][3]["headline"]["interval"] is None


def test_downloads_follow_the_filter_and_the_overall_table_has_them_too(site, browser, tmp_path):
    page, board = site
    browser.download_to(tmp_path)
    browser.open(page, "#view=overall&find=bc")
    (line,) = csv.DictReader(io.StringIO(save_and_read(browser, tmp_path, "csv")))
    assert float(line["cheetah-vel"]) == find_entry(board, "bc", suite="cheetah-vel").headline.mean
    assert (line["label"], line["mean"], line["missing"]) == (
        *("bc", ""),
        "ant-dir; hopper-param; pendulum-param; reach",
    )
    text = save_and_read(browser, tmp_path, "md")
    expected = (
        "| rank | method | mean \\[95 %\\] | to the best \\[95 %\\] | verdict | seeds | point-robot | cheetah-vel |"
    )
    assert expected in text
    assert text.count("\n|") == 3
