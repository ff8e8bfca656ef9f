"""What a researcher asks of the page: who is best, is it significant, what does it cost, how is it cited."""

import csv
import io
import time
from xml.etree import ElementTree

import pytest

from metabench.leaderboard.build import build_leaderboard
from metabench.leaderboard.scores import overall
from metabench.leaderboard.scores.quotas import SuiteShelf
from metabench.runs.kept.record import make_record

from ...synthetic_records import WIDE, cached_suite

pytestmark = pytest.mark.slow

LEVELS = {"bc": 20, "meta-dt": 70, "prompt-dt": 45, "twin": 44.5}
GROUP = "wide ones"


@pytest.fixture(scope="module")
def site(make, write, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    records = [make(method, seed, suite=WIDE, level=level) for method, level in LEVELS.items() for seed in range(3)]
    records.append(make("teacher", suite=WIDE, level=100, privileged=True))
    write(records, folder / "records")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(overall, "OTHER_GROUPS", {GROUP: (WIDE,)})
        board = build_leaderboard(folder / "records", folder, SuiteShelf([cached_suite(WIDE)]))
    return folder / "index.html", board


def save(browser, folder, ending):
    browser.download_to(folder)
    browser.click(f"[data-form={ending}]")
    deadline = time.monotonic() + 60
    while not (found := [path for path in folder.glob(f"*.{ending}") if path.stat().st_size]):
        assert time.monotonic() < deadline, f"nothing was saved as {ending}"
        time.sleep(0.05)
    return found[0].read_text(encoding="utf-8")


def test_the_question_is_answered_in_four_clicks(site, browser):
    page, _ = site
    browser.open(page)
    browser.click("#view-overall")
    browser.run(f"document.querySelector('input[value=\"{GROUP}\"]').click()")
    (answer,) = browser.texts("#about .answer")
    assert answer == "meta-dt is first: better than each of 3 others, over seeds and tasks."
    assert browser.texts("#board td.judged") == ["first", "worse", "worse", "worse", "not ranked"]
    assert browser.texts("tr.first .title") == ["meta-dt"]
    browser.run("document.querySelector('input[value=costs]').click()")
    costs = ["2 min", "1", "–", "30 ms", "120 ms", "30 ms", "5.0 s", "1,000", "cpu"]
    assert browser.texts("#board tbody tr:first-child td")[3:] == costs
    browser.click(".cite summary")
    browser.wait(".bibtex")
    assert "@misc{metabench-" in browser.texts(".bibtex")[0]


def test_a_citation_names_table_state_and_papers(site, browser):
    page, board = site
    browser.open(page)
    browser.click(".cite summary")
    browser.wait(".citation")
    (text,) = browser.texts(".citation")
    assert board.digest[7:19] in text
    assert board.updated[:10] in text
    assert f"{WIDE}-v1, medium-v1" in text
    assert "few-shot, 3 shots" in text
    assert f"index.html#suite={WIDE}-v1&dataset=medium&preset=cpu&split=test&track=few-shot&shots=3" in text
    links = browser.run("return [...document.querySelectorAll('.cite a')].map((link) => [link.textContent, link.href])")
    assert ["meta-dt", "https://arxiv.org/abs/2410.11448"] in links
    assert board.digest[7:19] in browser.texts("#state")[0]


def test_what_cannot_be_told_apart_is_said(make, write, tmp_path, browser):
    records = [make(name, seed, suite=WIDE, level=50) for name in ("one", "two") for seed in range(3)]
    write([*records, make("bc", suite=WIDE, level=10)], tmp_path / "records")
    build_leaderboard(tmp_path / "records", tmp_path, SuiteShelf([cached_suite(WIDE)]))
    browser.open(tmp_path / "index.html")
    best, other, _ = browser.texts("#board .name")
    assert browser.texts("#about .answer") == [
        f"No method is first: {best} has the highest mean, and 2 of 2 others cannot be told from it ({other}, bc)."
    ]
    assert browser.texts("#board td.judged") == ["undecided", "undecided", "no verdict"]
    assert browser.texts("tr.first") == []


@pytest.mark.parametrize(
    ("address", "notice"),
    [
        ("#suite=wde-v1", "suite “wde-v1”, which is not here. Shown instead: wide-v1, the nearest name."),
        ("#track=few-shots", "track “few-shots”, which is not here. Shown instead: few-shot, the nearest name."),
        ("#view=overal", "view “overal”, which is not here. Shown instead: overall, the nearest name."),
        ("#view=overall&group=MuJoCo", f"group “MuJoCo”, which is not here. Shown instead: {GROUP}."),
        ("#open=0123", "row “0123”, which is not here. Shown instead: none."),
    ],
)
def test_a_wrong_link_says_so_and_names_the_nearest(site, browser, address, notice):
    page, _ = site
    browser.open(page, address)
    assert browser.texts("#astray p") == [f"The link asks for {notice}"]
    browser.run("document.querySelector('input[value=zero-shot]').click()")
    assert browser.texts("#astray p") == []


def test_a_link_to_a_row_of_another_table_leads_there(site, browser):
    page, board = site
    entry = next(entry for entry in board.entries if entry.label == "bc")
    browser.open(page, f"#open={entry.id}&preset=cpu&track=few-shot&shots=3")
    assert browser.texts("#astray p") == []
    browser.wait(".panel .strip")


def test_back_leaves_a_table_and_not_what_was_sorted_in_it(site, browser):
    page, _ = site
    browser.open(page)
    browser.run("document.querySelector('input[value=zero-shot]').click()")
    browser.click("[data-sort=method]")
    browser.click("#view-overall")
    assert browser.texts("#board .title") != []
    browser.driver.back()
    browser.wait("#board .name")
    assert browser.run("return document.querySelector('input[name=track]:checked').value") == "zero-shot"
    browser.driver.back()
    assert browser.run("return document.querySelector('input[name=track]:checked').value") == "few-shot"
    assert browser.run("return location.hash") == ""


def test_seeds_are_dots_where_they_are_few_and_references_are_lines(site, browser):
    page, _ = site
    browser.open(page, "#find=bc")
    assert len(browser.run("return document.querySelectorAll('#board .meter .seed')")) == 3
    assert len(browser.run("return document.querySelectorAll('#figure circle.seed')")) == 4 * 3  # shots x seeds
    assert browser.texts("#figure text.reference") == ["random", "teacher"]
    heights = browser.run(
        "return [...document.querySelectorAll('#figure line.reference')].map((l) => l.y1.baseVal.value)"
    )
    assert heights[0] > heights[1]


def test_a_plot_is_saved_as_one_file_with_its_colours(site, browser, tmp_path):
    page, _ = site
    browser.open(page, "#figure=profile")
    text = save(browser, tmp_path, "svg")
    root = ElementTree.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    strokes = {line.get("stroke") for line in root.iter(f"{space}path")}
    assert len({stroke for stroke in strokes if stroke.startswith("rgb")}) >= 4
    written = {node.text for node in root.iter(f"{space}text")}
    assert {"bc", "meta-dt", "prompt-dt", "twin", "score"} <= written
    assert "class=" not in text
    assert "var(" not in text


def test_saved_tables_hold_mean_worst_task_difference_verdict_and_seeds(site, browser, tmp_path):
    page, board = site
    browser.open(page)
    (line,) = [
        line for line in csv.DictReader(io.StringIO(save(browser, tmp_path, "csv"))) if line["label"] == "prompt-dt"
    ]
    entry = next(
        e for e in board.entries if (e.label, e.split, e.track, e.shots) == ("prompt-dt", "test", "few-shot", 3)
    )
    assert float(line["headline"]) == entry.headline.mean
    assert float(line["worst_task_score"]) == entry.worst_task.score.mean
    assert float(line["difference"]) < float(line["difference_high"]) < 0
    assert (line["verdict"], line["seeds"]) == ("worse", "0 1 2")
    tables = save(browser, tmp_path, "tex").splitlines()
    (row,) = [text for text in tables if text.startswith(("2", "3")) and "prompt-dt" in text]
    half = (entry.headline.interval[1] - entry.headline.interval[0]) / 2
    assert rf"{entry.headline.mean:.1f} $\pm$ {half:.1f}" in row
    assert r"\begin{tabular}{@{}rp{\dimexpr\columnwidth-196pt\relax}rrrlr@{}}" in tables


def test_a_record_without_costs_shows_dashes(make, write, tmp_path, browser):
    record = make("bc")
    bare = record.provenance.model_copy(update={"stages": ()})
    write([make_record(record.result.model_copy(update={"curve": ()}), bare)], tmp_path / "records")
    build_leaderboard(tmp_path / "records", tmp_path)
    browser.open(tmp_path / "index.html", "#columns=costs")
    assert browser.texts("#board tbody td")[3:] == ["2 min", "–", "–", "–", "–", "5.0 s", "1,000", "cpu"]
    assert browser.texts("#choice-dataset option") == ["medium"]


def test_sixteen_methods_have_sixteen_colours(make, write, tmp_path, browser):
    keep = lambda block: block if block.split == "test" and block.track == "zero-shot" else None  # noqa: E731
    write([make(f"method-{i}", level=i, keep=keep) for i in range(18)], tmp_path / "records")
    build_leaderboard(tmp_path / "records", tmp_path)
    browser.open(tmp_path / "index.html", "#track=zero-shot")
    fills = browser.run(
        "return [...document.querySelectorAll('#board .meter circle')].map((node) => getComputedStyle(node).fill)"
    )
    assert len(set(fills[:16])) == 16
    assert len(set(fills[16:])) == 1


def test_a_submitted_method_is_described_by_its_card(make, write, card, tmp_path, browser):
    write([make("mine")], tmp_path / "records")
    about = "<b>Remembers</b> everything"
    written = card("mine", summary=about, code="https://example.org/mine", paper="none")
    (tmp_path / "methods").mkdir()
    written.rename(tmp_path / "methods" / "mine.toml")
    board = build_leaderboard(tmp_path / "records", tmp_path)
    assert board.methods["mine"].authors == ("Ada L.", "Alan T.")
    browser.open(tmp_path / "index.html")
    browser.click("#board .name")
    browser.wait(".panel .strip")
    assert browser.texts(".panel .wide p")[0] == f"{about} (Ada L., Alan T.) code"
    links = browser.run("return [...document.querySelectorAll('.panel .wide a')].map((link) => link.href)")
    assert links == ["https://example.org/mine"]
