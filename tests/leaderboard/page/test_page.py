"""The page in a browser, opened from a file without a network: table, choices, address, details, hostile names."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from metabench.evaluation.protocol import PROTOCOL
from metabench.leaderboard.build import build_leaderboard
from metabench.leaderboard.export.text_tables import format_rank
from metabench.leaderboard.scores import archived_protocols
from metabench.leaderboard.scores.quotas import SuiteShelf
from metabench.runs.kept.record import EXPERT_LABELS, read_record

from ...synthetic_records import WIDE, cached_suite

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
NAMES = "#board tr.entry .name"


def keep_all_but_logged(block):
    return None if block.track == "logged-shot" else block


@pytest.fixture(scope="module")
def site(make, write, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    records = [make(method, seed, level=level) for method, level in (("bc", 20), ("meta-dt", 50)) for seed in range(5)]
    records += [make("prompt-dt", seed, level=35, keep=keep_all_but_logged) for seed in (0, 3)]
    records += [make("teacher", 0, level=100, privileged=True), make("bc", 0, preset="demo", dataset="expert")]
    write(records, folder / "records")
    build_leaderboard(folder / "records", folder)
    return folder / "index.html"


def read_focus(browser, what):
    return browser.run(f"return document.activeElement.{what}")


@pytest.mark.slow
def test_the_table_is_ranked_and_says_what_stands_behind_each_number(site, browser):
    browser.open(site)
    assert browser.texts(NAMES) == ["meta-dt", "prompt-dt", "bc", "teacher"]
    assert browser.texts("#board td.rank") == ["(1)", "(2)", "(3)", "–"]
    assert browser.texts("tr.aside .name") == ["teacher"]
    assert browser.texts("#board .mark") == ["privileged"]
    headings = ["#", "Method", "Score, mean over tasks", "To the best", "Verdict", "Worst task", "Seeds"]
    assert browser.texts("#board thead th") == [*headings, "Training", "An episode"]
    board = json.loads((site.parent / "leaderboard.json").read_text())
    chosen = ("bc", "medium", "test", "few-shot", 3)
    entry = next(
        e for e in board["entries"] if (e["label"], e["dataset"], e["split"], e["track"], e["shots"]) == chosen
    )
    low, high = entry["headline"]["interval"]
    row = browser.texts(f"tr[data-id='{entry['id']}'] td")
    assert row[1:3] == [f"{entry['headline']['mean']:.1f}", f"[{low:.1f}, {high:.1f}]"]
    assert row[-5:-2] == ["no verdict", f"{entry['worst_task']['score']['mean']:.1f}", "5"]
    costs = entry["costs"]
    assert costs["training"] == 120.0
    assert row[-2:] == ["2 min", f"{1000 * (costs['adapting'] + costs['acting'] + costs['collecting']):.0f} ms"]
    assert any(PROTOCOL in fact for fact in browser.texts("#about li"))
    assert browser.texts("tr.first") == []  # one test task allows no verdict
    assert any("takes 10 test tasks" in text for text in browser.texts("#about p"))


def test_a_row_is_first_only_by_a_verdict_and_ranks_are_ranges(make, write, tmp_path, browser):
    levels = {"bc": 20, "meta-dt": 60, "twin": 59.5}
    records = [make(method, seed, suite=WIDE, level=level) for method, level in levels.items() for seed in range(3)]
    shelf = SuiteShelf([cached_suite(WIDE)])
    write(records, tmp_path / "records")
    board = build_leaderboard(tmp_path / "records", tmp_path, shelf)
    browser.open(tmp_path / "index.html")
    standings = next(b for b in board.boards if (b.split, b.track, b.shots) == ("test", "few-shot", 3)).standings
    assert browser.texts("#board td.rank") == [format_rank(standing) for standing in standings] == ["1–2", "1–2", "3"]
    assert browser.texts("tr.first") == []
    low, high = standings[2].interval
    assert f"[{low:.1f}, {high:.1f}]".replace("-", "−") in browser.texts("#board td.bounds")
    for folder in (tmp_path / "records").rglob("twin"):
        shutil.rmtree(folder)
    build_leaderboard(tmp_path / "records", tmp_path, shelf)
    browser.open(tmp_path / "index.html")
    assert browser.texts("#board td.rank") == ["first", "2"]
    assert browser.texts("tr.first .name") == ["meta-dt"]


def test_what_a_dataset_is_and_who_used_expert_labels_is_said(make, write, tmp_path, browser):
    used = make("labelled", level=70, dataset="expert-actions", summary={EXPERT_LABELS: True})
    write([used, make("bc", level=20, dataset="expert-actions"), make("bc", dataset="histories")], tmp_path / "records")
    build_leaderboard(tmp_path / "records", tmp_path)
    browser.open(tmp_path / "index.html", "#dataset=expert-actions")
    assert browser.texts("#board tr:has(.mark) .name") == ["labelled"]
    assert browser.texts("#board .mark") == ["uses expert labels"]
    told = browser.texts("#about p")
    assert "Trained on expert-actions: the trajectories of medium, with the expert’s action" in " ".join(told).replace(
        "'", "’"
    )
    assert sum("which no other method is given" in text for text in told) == 1
    browser.open(tmp_path / "index.html", "#dataset=histories")
    assert browser.texts("#board .mark") == []
    told = browser.texts("#about p")
    assert any(text.startswith("Trained on histories: 5 stages of expert mixed with random") for text in told)
    assert not any("which no other method is given" in text for text in told)


def test_an_archived_protocol_has_boards_of_its_own_and_no_commands(make, write, tmp_path, browser, monkeypatch):
    monkeypatch.setattr(archived_protocols, "ARCHIVED_PROTOCOLS", ("0",))
    write([make("bc", cell={"protocol": "0"}), make("meta-dt", 1)], tmp_path / "records")
    build_leaderboard(tmp_path / "records", tmp_path)
    browser.open(tmp_path / "index.html")
    assert browser.texts("#choice-preset option") == ["cpu", "cpu, protocol 0 (archived)"]
    assert browser.texts(NAMES) == ["meta-dt"]
    browser.open(tmp_path / "index.html", "#preset=cpu%2C+protocol+0+%28archived%29")
    assert browser.texts(NAMES) == ["bc"]
    assert any("Protocol 0 is archived" in text for text in browser.texts("#about p"))
    browser.click("#board .name")
    browser.wait(".panel .strip")
    assert "Run this row again" not in browser.texts(".panel h3")


def test_a_link_from_before_its_board_was_archived_leads_there(make, write, tmp_path, browser, monkeypatch):
    monkeypatch.setattr(archived_protocols, "ARCHIVED_PROTOCOLS", ("0",))
    write([make("bc", cell={"protocol": "0"})], tmp_path / "records")
    build_leaderboard(tmp_path / "records", tmp_path)
    browser.open(tmp_path / "index.html", "#preset=cpu")
    assert browser.texts(NAMES) == ["bc"]
    assert browser.texts("#astray p") == []
    browser.open(tmp_path / "index.html", "#preset=gpu")
    assert browser.texts("#astray p") != []


def test_adaptation_has_a_column_where_it_is_known(make, write, tmp_path, browser):
    tiny = cached_suite("tiny")
    tasks = tuple(
        task.model_copy(update={"reference": task.reference.model_copy(update={"blind": task.reference.random})})
        for task in tiny.tasks
    )
    suite = dataclasses.replace(tiny, entry=tiny.entry.model_copy(update={"task": tasks}))
    write([make("bc", seed, cell={"suite_digest": suite.digest}) for seed in (0, 1)], tmp_path / "records")
    board = build_leaderboard(tmp_path / "records", tmp_path, SuiteShelf([suite]))
    browser.open(tmp_path / "index.html")
    entry = next(e for e in board.entries if (e.split, e.track, e.shots) == ("test", "few-shot", 3))
    assert "Adaptation" in browser.texts("#board thead th")
    assert "headroom 100" in browser.texts("#about li")
    assert entry.adaptation == entry.headline  # blind scores 0, so that all of the score is adaptation
    assert browser.texts("#board td.number:not(.value)")[1] == f"{entry.adaptation.mean:.1f}"
    assert browser.texts("#figure text.reference") == ["random", "blind", "teacher"]


@pytest.mark.slow
def test_columns_sort_both_ways_and_the_address_keeps_it(site, browser):
    browser.open(site, "#columns=returns")
    browser.click('[data-sort="return"]')
    assert browser.texts(NAMES) == ["teacher", "meta-dt", "prompt-dt", "bc"]
    assert browser.texts("[aria-sort='descending']") == ["Mean return"]
    assert read_focus(browser, "dataset.sort") == "return"
    browser.click('[data-sort="return"]')
    assert browser.texts(NAMES) == ["bc", "prompt-dt", "meta-dt", "teacher"]
    browser.open(site, browser.run("return location.hash"))
    assert browser.texts(NAMES) == ["bc", "prompt-dt", "meta-dt", "teacher"]
    assert browser.texts("[aria-sort='ascending']") == ["Mean return"]


def test_choices_filter_and_incomplete_rows_say_what_is_missing(site, browser):
    browser.open(site)
    assert browser.texts("#choice-suite option") == ["tiny-v1"]
    assert browser.texts("#choice-dataset option") == ["medium", "expert"]
    browser.run('document.querySelector(\'input[name="track"][value="logged-shot"]\').click()')
    assert set(browser.texts(NAMES)) == {"bc", "meta-dt", "prompt-dt", "teacher"}
    assert browser.texts(".why") == ["seeds 0, 3: not evaluated"]
    assert "track=logged-shot" in browser.run("return location.hash")
    assert read_focus(browser, "value") == "logged-shot"
    browser.run(
        "const choice = document.getElementById('choice-dataset'); choice.value = 'expert';"
        "choice.dispatchEvent(new Event('change'))"
    )
    assert browser.texts(NAMES) == ["bc"]
    assert browser.texts("#choice-preset option") == ["demo"]
    assert read_focus(browser, "id") == "choice-dataset"


@pytest.mark.slow
def test_methods_are_found_by_parts_of_their_names(site, browser):
    browser.open(site)
    browser.click("#find")
    browser.press("dt t p")
    assert browser.texts(NAMES) == ["prompt-dt"]
    assert browser.texts("#board td.rank") == ["(2)"]
    assert browser.texts("#figure text.label") == ["prompt-dt"]
    assert browser.texts("#board [role=status]") == ["1 of 4 methods"]
    browser.open(site, browser.run("return location.hash"))
    assert browser.texts(NAMES) == ["prompt-dt"]
    assert browser.run("return document.getElementById('find').value") == "dt t p"


@pytest.mark.slow
def test_a_row_opens_its_rows_records_configuration_and_commands(site, browser):
    browser.open(site, "#track=few-shot&shots=3")
    loaded = "return document.querySelectorAll('script[src^=\"rows/\"]').length"
    assert browser.run(loaded) == 0
    browser.click("#board .name")
    browser.wait(".panel .strip")
    assert browser.run(loaded) == 5
    assert read_focus(browser, "ariaExpanded") == "true"
    command = "metabench run tiny --dataset medium --method meta-dt --preset cpu --seeds 5"
    assert command in browser.texts(".panel pre")
    assert browser.texts(".panel code")[1:] == [command]  # the first says where the method's code is
    assert {"machine", "packages", "learning_rate", "validation_loss"} <= set(browser.texts(".panel dt"))
    assert len(browser.texts(".strip circle:not(.mean)")) == 5 * 2  # seeds x episodes of the one test task
    assert len(browser.texts(".strip .level")) == 2  # random and teacher; nobody measured a blind policy here
    links = browser.run("return [...document.querySelectorAll('.panel a')].map((link) => link.getAttribute('href'))")
    assert links.pop(0) == "https://arxiv.org/abs/2410.11448"
    assert len(links) == 5
    assert all((site.parent / link).exists() for link in links)
    assert {read_record(site.parent / link).result.cell.method for link in links} == {"meta-dt"}


@pytest.mark.slow
def test_the_command_of_a_row_is_its_own(make, write, tmp_path, browser):
    overrides = {"layers": 2, "name": "a b"}
    records = [make("bc", seed, overrides=overrides, configuration=overrides) for seed in (0, 2)]
    write([*records, make("meta-dt/no_prompt", 3, overrides={"no_prompt": True})], tmp_path / "records")
    build_leaderboard(tmp_path / "records", tmp_path)
    browser.open(tmp_path / "index.html", "#sort=method")
    found = []
    for _ in range(2):
        browser.run("[...document.querySelectorAll('#board .name')].find((name) => !name.dataset.seen).click()")
        found += browser.texts(".panel pre")
        browser.run("document.querySelector('.name[aria-expanded=true]').click()")
        browser.click('[data-sort="method"]')
    run = "metabench run tiny --dataset medium --method"
    assert found == [
        f"{run} bc --preset cpu --seeds 0,2 --set layers=2 --set 'name=\"a b\"'",
        f"{run} meta-dt/no_prompt --preset cpu --seeds 3,",
    ]


def test_earlier_versions_of_a_suite_are_kept(make, write, tmp_path, browser):
    old = make("bc", 0, cell={"suite_digest": "sha256:" + "ab" * 32, "suite_version": 0})
    write([old, make("meta-dt", 0)], tmp_path / "records")
    build_leaderboard(tmp_path / "records", tmp_path)
    browser.open(tmp_path / "index.html")
    assert browser.texts(NAMES) == ["meta-dt"]
    assert browser.texts("#choice-suite option") == ["tiny-v1", "tiny-v0 (abababab)"]
    browser.open(tmp_path / "index.html", "#suite=tiny-v0+(abababab)")
    assert browser.texts(NAMES) == ["bc"]
    assert "outdated: made with tiny-v0 abababab" in browser.texts(".why")[0]
    board = json.loads((tmp_path / "leaderboard.json").read_text())
    entry = next(e for e in board["entries"] if (e["method"], e["track"], e["shots"]) == ("bc", "few-shot", 3))
    value = f"{entry['mean_return']['mean']:.2f}".replace("-", "−")
    assert browser.texts("#board td.value") == ["–", value]


@pytest.mark.slow
def test_names_of_html_and_script_appear_as_text(make, tmp_path, browser):
    record = make(
        HOSTILE,
        configuration={HOSTILE: HOSTILE},
        overrides={"name": HOSTILE},
        preset=HOSTILE.replace("/", ""),
    )
    path = tmp_path / "records" / "one.json"
    path.parent.mkdir(parents=True)
    path.write_text(record.model_dump_json())
    build_leaderboard(tmp_path / "records", tmp_path)
    for figure in ("adaptation", "profile", "tasks"):
        browser.open(tmp_path / "index.html", f"#figure={figure}&find=%3Cscript%3E")
        browser.click("#board .name")
        browser.wait(".panel .strip")
        assert browser.run("return document.title") == "metabench leaderboard"
        assert browser.texts("img") == []
        assert browser.texts("#board .name")[0].startswith("< (script><script>document.title")
        assert browser.texts("#choice-preset option") == [HOSTILE.replace("/", "")]
        assert HOSTILE in browser.texts(".panel dt")
        assert browser.run("return document.querySelectorAll('script').length") == 3  # data, page, the one seed's rows


@pytest.mark.parametrize(
    "address", ["#suite=none&track=nowhere&shots=x&sort=-none&figure=none&open=1&view=z", "#%E0%A4%A"]
)
def test_an_address_that_names_nothing_shows_the_first_table(site, browser, address):
    browser.open(site, address)
    assert browser.texts(NAMES) == ["meta-dt", "prompt-dt", "bc", "teacher"]


def test_an_empty_leaderboard_says_so(tmp_path: Path, browser):
    (tmp_path / "records").mkdir()
    build_leaderboard(tmp_path / "records", tmp_path)
    how = "metabench run SUITE --dataset medium --method METHOD --track prediction"
    for address, text in (
        ("", "No records yet."),
        ("#view=overall", "No record of the core set yet."),
        ("#view=prediction", f"No predictions yet: {how} makes them, for a method with a world model."),
    ):
        browser.open(tmp_path / "index.html", address)
        assert browser.texts("#about p") == [text]
