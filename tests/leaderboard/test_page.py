"""The page as a browser shows it, opened from a file without a network."""

import json
import shutil
import subprocess
from html import unescape

import pytest

from metabench.leaderboard.build import build_leaderboard

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on the PATH to look at the page")

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
    "--enable-logging=stderr",
    "--virtual-time-budget=4000",
    "--dump-dom",
]
HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"

WAIT = """
const until = async (found) => { while (!found()) await new Promise((again) => setTimeout(again, 20)); };
const texts = (selector) => [...document.querySelectorAll(selector)].map((node) => node.textContent);
const report = (content) => {
  const node = document.createElement("div");
  node.id = "report";
  node.textContent = JSON.stringify(content);
  document.body.append(node);
};
"""


@pytest.fixture(scope="module")
def site(make, write, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    records = [
        make(method, seed, level=level, gain=gain)
        for method, level, gain in (("bc", 20, 0), ("meta-dt", 50, 6))
        for seed in range(5)
    ]

    def cut(block):
        return None if block.track == "logged-shot" else block

    records += [make("prompt-dt", seed, level=35, keep=cut) for seed in range(2)]
    records += [make("teacher", 0, level=100, privileged=True), make("bc", 0, preset="demo", dataset="expert")]
    write(records, folder / "records")
    build_leaderboard(folder / "records", folder)
    return folder


def browse(folder, profile, script="", address="", size="1280,1000"):
    """What a script in the opened page reports; fails if the page logs anything."""
    page = (folder / "index.html").read_text()
    (folder / "driver.js").write_text(f"(async () => {{{WAIT}{script}}})();")
    (folder / "driven.html").write_text(page.replace("</body>", '<script src="driver.js"></script></body>'))
    done = subprocess.run(
        [
            CHROMIUM,
            *FLAGS,
            f"--window-size={size}",
            f"--user-data-dir={profile}",
            f"file://{folder}/driven.html{address}",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    start = done.stdout.index('<div id="report">') + len('<div id="report">')
    return json.loads(unescape(done.stdout[start : done.stdout.index("</div>", start)]))


def test_the_table_is_ranked_complete_and_sortable(site, tmp_path):
    found = browse(
        site,
        tmp_path,
        """
        const board = () => texts("#board tr.entry .name");
        const first = { names: board(), ranks: texts("#board tr.entry td.rank"), marks: texts(".mark"),
          aside: texts("tr.aside .name") };
        document.querySelector('[data-sort="return"]').click();
        const descending = { names: board(), sort: document.querySelector('[aria-sort]').getAttribute("aria-sort"),
          focus: document.activeElement.dataset.sort };
        document.querySelector('[data-sort="return"]').click();
        const ascending = { names: board(), sort: document.querySelector('[aria-sort]').getAttribute("aria-sort") };
        document.querySelector('input[name="track"][value="logged-shot"]').click();
        const logged = { names: board(), why: texts(".why"), hash: location.hash,
          presets: texts("#choice-preset option"), focus: document.activeElement.value };
        report({ first, descending, ascending, logged });
        """,
    )
    assert found["first"] == {
        "names": ["meta-dt", "prompt-dt", "bc", "teacher"],
        "ranks": ["1", "2", "3", "–"],
        "marks": ["privileged"],
        "aside": ["teacher"],
    }
    assert found["descending"] == {
        "names": ["teacher", "meta-dt", "prompt-dt", "bc"],
        "sort": "descending",
        "focus": "return",
    }
    assert found["ascending"] == {"names": ["bc", "prompt-dt", "meta-dt", "teacher"], "sort": "ascending"}
    assert sorted(found["logged"]["names"]) == ["bc", "meta-dt", "prompt-dt", "teacher"]
    assert found["logged"]["why"] == ["seeds 0, 1: not evaluated"]
    assert "track=logged-shot" in found["logged"]["hash"]
    assert found["logged"]["presets"] == ["cpu"]
    assert found["logged"]["focus"] == "logged-shot"


def test_a_row_opens_its_rows_configuration_and_command(site, tmp_path):
    found = browse(
        site,
        tmp_path,
        """
        const before = texts("script[src^='rows/']").length;
        document.querySelector("#board .name").click();
        await until(() => document.querySelector(".panel pre"));
        report({ before, after: document.querySelectorAll("script[src^='rows/']").length,
          expanded: document.querySelector("#board .name").getAttribute("aria-expanded"),
          focused: document.activeElement === document.querySelector("#board .name"),
          command: texts(".panel pre"), terms: texts(".panel dt"),
          dots: document.querySelectorAll(".strip circle:not(.mean)").length,
          links: [...document.querySelectorAll(".panel a")].map((node) => node.getAttribute("href")) });
        """,
        address="#track=few-shot&shots=3",
    )
    assert (found["before"], found["after"]) == (0, 5)
    assert (found["expanded"], found["focused"]) == ("true", True)
    assert found["command"] == ["metabench run tiny --dataset medium --method meta-dt --preset cpu --seeds 5"]
    assert {"machine", "packages", "learning_rate", "validation_loss"} <= set(found["terms"])
    assert found["dots"] == 5 * 2  # seeds x episodes of the one test task
    assert all((site / link).exists() for link in found["links"])
    assert len(found["links"]) == 5


def test_the_adaptation_curve_has_every_method_and_its_values(site, tmp_path):
    board = json.loads((site / "leaderboard.json").read_text())
    found = browse(
        site,
        tmp_path,
        """
        const hits = () => [...document.querySelectorAll("#curve .hit")];
        const marks = () => hits().map((node) => node.getAttribute("aria-label"));
        const scores = marks();
        document.querySelector('#curve input[value="return"]').click();
        report({ scores, returns: marks(), labels: texts("#curve text.label") });
        """,
    )
    assert sorted(found["labels"]) == ["bc", "meta-dt", "prompt-dt", "teacher"]
    assert len(found["scores"]) == len(found["returns"]) == 4 * 4
    entry = next(
        e
        for e in board["entries"]
        if (e["label"], e["split"], e["track"], e["shots"], e["dataset"]) == ("bc", "test", "few-shot", 5, "medium")
    )
    mean, (low, high) = entry["iqm"]["mean"], entry["iqm"]["interval"]
    expected = f"bc, 5 shots\nScore {mean:.1f} [{low:.1f}, {high:.1f}]\n5 seeds".replace("-", "−")
    assert expected in [label.replace("-", "−") for label in found["scores"]]


def test_names_of_html_and_script_appear_as_text(make, write, tmp_path):
    folder = tmp_path / "site"
    record = make(
        HOSTILE,
        configuration={HOSTILE: HOSTILE},
        overrides={"name": HOSTILE},
        preset=HOSTILE.replace("/", ""),
        cell={"dataset": "medium"},
    )
    path = folder / "records" / "one.json"
    path.parent.mkdir(parents=True)
    path.write_text(record.model_dump_json())
    build_leaderboard(folder / "records", folder)
    found = browse(
        folder,
        tmp_path / "profile",
        """
        document.querySelector("#board .name").click();
        await until(() => document.querySelector(".panel pre"));
        report({ title: document.title, images: document.querySelectorAll("img").length,
          name: texts("#board .name")[0], preset: texts("#choice-preset option")[0], terms: texts(".panel dt"),
          styled: getComputedStyle(document.body).maxWidth !== "none" });
        """,
    )
    assert found["title"] == "metabench leaderboard"
    assert found["images"] == 0
    assert found["name"].startswith("< (script><script>document.title")
    assert found["preset"] == HOSTILE.replace("/", "")
    assert HOSTILE in found["terms"]
    assert found["styled"]


def test_overall_shows_gaps_and_narrow_screens_do_not_overflow(site, make, write, tmp_path):
    write([make("bc", seed, suite="point-robot") for seed in range(2)], tmp_path / "records")
    build_leaderboard(tmp_path / "records", tmp_path)
    found = browse(
        tmp_path,
        tmp_path / "profile",
        """
        const fits = () => document.documentElement.scrollWidth <= innerWidth;
        const overall = { fits: fits(), headings: texts("#board thead th"),
          cells: texts("#board tbody td"), mark: texts(".mark") };
        document.getElementById("view-suites").click();
        await until(() => document.querySelector("#board tr.entry"));
        report({ overall, width: innerWidth, suites: fits() });
        """,
        address="#view=overall",
        size="500,900",
    )
    assert found["overall"]["headings"][3:] == ["point-robot", "cheetah-vel", "hopper-param", "cartpole-param", "reach"]
    assert found["overall"]["mark"] == ["1 of 5 suites"]
    assert found["overall"]["cells"][3:] == ["–"] * 4
    assert found["overall"]["fits"]
    assert found["suites"]
    assert found["width"] == 500
