"""Reports as files: what they hold is recomputed here; hostile names stay text; mistakes get one line."""

import functools
import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from metabench.data.cards.axes import make_axis
from metabench.errors import DataError, MetabenchError
from metabench.evaluation.scores import score_rows
from metabench.methods.pictures import Series
from metabench.report import write_report
from metabench.report.drawing.canvas import SMALL
from metabench.report.drawing.html import format_number
from metabench.report.drawing.plots import draw_lines
from metabench.runs.kept.record import make_record, write_record
from metabench.suites import load_suite

HOSTILE = "</title></style><script>alert(1)</script><img src=x onerror=alert(1)>{{style}}"
VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """Tags, attributes and texts of a page; fails where elements are not closed in order."""

    def __init__(self, path: Path):
        super().__init__()
        self.tags, self.attributes, self.open, self.texts = [], [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self):
        return "".join(self.texts)


@pytest.fixture
def report(tmp_path, make):
    """`report(record)` or `report(**of the record)` gives the page."""

    def write(record=None, **more):
        write_record(make(**more) if record is None else record, tmp_path / "0.json")
        return Page(write_report(tmp_path / "0.json", tmp_path / "report.html").path)

    return write


def change(record, **more):
    return make_record(record.result.model_copy(update=more), record.provenance)


def test_scores_are_those_of_the_rows(report, make):
    record = make(method="bc", suite="point-robot", level=42.0, gain=3.0)
    page, suite = report(record), load_suite("point-robot")
    for block in record.result.blocks:
        score = score_rows(block.rows, suite)
        cells = [block.split, block.track, str(block.shots)]
        iqm = stats.trim_mean(score.task_scores, 0.25)
        cells += [f"{value:.1f}" for value in (score.headline, min(score.task_scores), iqm)]
        assert "".join(cells) in page.text.replace("\u2212", "-")
        assert all(f"{value:.1f}" in page.texts for value in score.task_scores)
    assert "bc on point-robot" in page.texts
    episodes = sum(len(block.rows) for block in record.result.blocks)
    dots = [value for key, value in page.attributes if key == "r" and value == "2.5"]
    assert len(dots) == episodes + sum(len(part.rows) for part in record.result.collections)
    assert "metabench run point-robot --dataset medium --method bc --preset cpu --seeds 0," in page.texts


def test_suites_of_success_are_scored_by_it(report, make):
    record = make(suite="reach", level=60.0)
    blocks = tuple(
        block.model_copy(
            update={
                "rows": tuple(
                    row._replace(success_any=True, success_last=i % 4 == 0) for i, row in enumerate(block.rows)
                )
            }
        )
        for block in record.result.blocks
    )
    page = report(change(record, blocks=blocks))
    suite = load_suite("reach")
    assert suite.entry.success == "last"
    scores = suite.score_success([row.task for row in blocks[0].rows], [row.success_last for row in blocks[0].rows])
    share = sum(scores) / len(scores)  # as many episodes in each task
    assert score_rows(blocks[0].rows, suite).headline == pytest.approx(share)
    assert "Adaptation, test: success, %, mean over tasks" in page.texts
    drawn = [text for text in page.texts if text.startswith("all tasks\n0: ")]
    assert drawn == [f"all tasks\n0: {format_number(share)}"]
    assert page.texts[page.texts.index("zero-shot") + 1] == f"{share:.1f}"


def test_what_differs_from_the_preset_is_told_first_and_in_the_command(report):
    page = report(configuration={"layers": 4, "width": 8, "name": "a b"}, overrides={"layers": 4, "name": "a b"})
    changes = [page.texts[i + 1] for i, text in enumerate(page.texts) if text in ("layers", "name")]
    assert changes == ["4", "a b"]
    assert page.text.index("layers") < page.text.index("width")
    assert any(text.endswith("""--set layers=4 --set 'name="a b"'""") for text in page.texts)


def test_every_metric_is_drawn_by_stage_and_validation_lies_over_training(report, make):
    curve = [
        {"stage": stage, "update": update, "loss": 1.0 / update, "validation_loss": 2.0 / update, "odd": -1.0}
        for stage in ("model", "policy")
        for update in range(1, 2001)
    ]
    page = report(change(make(), curve=tuple(curve)))
    labels = [value for key, value in page.attributes if key == "aria-label"]
    assert labels.count("loss by update") == labels.count("odd by update") == 2
    assert "at the end 0.0005000, 0.001000" in page.texts
    assert all(len(value) < 40_000 for key, value in page.attributes if key == "d")
    assert report(change(make(), curve=())).text.count("logged nothing") == 1


def test_any_summary_becomes_tables_and_plots(report, make):
    summary = {
        "accuracy": 0.25,
        "open_loop": {
            f"context_{context}": {f"after_{steps}_steps": {"state": 0.5, "reward": 1.5} for steps in (1, 5, 15)}
            for context in (0, 16)
        },
        "gain": {
            f"context_{c}": {f"after_{s}_steps": {"mean": 1.5, "half_width": 0.25} for s in (1, 5)} for c in (2, 4)
        },
        "error": {
            "after_0_steps": 4.0,
            "after_2_steps": 3.0,
            "after_2_steps_of_others": 9.0,
            "plain": 7.0,
            "after_4_steps_of_others": 8.0,
        },
        "codes": [{"name": "a", "value": 1.5}, {"name": "b"}],
        "series": [1.0, 2.5, 2.0],
        "deep": functools.reduce(lambda inner, name: {name: inner}, "abcdefghijklmnop", {"last": 1}),
        "odd": {"nothing": None, "flag": True, "empty": {}, "list": [], "text": "<i>"},
    }
    page = report(change(make(), summary=summary))
    labels = [value for key, value in page.attributes if key == "aria-label"]
    assert {"series"} <= set(labels)
    for expected in ("0.2500", "context 16", "after 15 steps", "1.500 ± 0.25", "of others", "true", "null", "<i>"):
        assert expected in page.text, expected
    assert {"after … steps", "after … steps of others"} <= set(page.texts)
    assert page.texts.count("1.500") == 2 * 3 + 1
    assert '"last": 1' in page.text


def test_hostile_names_are_text(report):
    page = report(
        method=HOSTILE,
        configuration={HOSTILE: HOSTILE},
        overrides={HOSTILE: HOSTILE},
        preset=HOSTILE,
        cell={"dataset": f"../{HOSTILE}\0", "suite": HOSTILE.replace("/", "")},
    )
    assert not {"script", "img"} & set(page.tags)
    assert page.tags.count("style") == 1
    assert not [key for key, _ in page.attributes if key.startswith("on")]
    assert HOSTILE in page.texts
    policies = [value for key, value in page.attributes if key == "content"]
    assert any(value.startswith("default-src 'none'; style-src 'sha256-") for value in policies)
    assert "unknown suite" in page.text


def test_an_unknown_or_other_suite_keeps_its_returns(report):
    page = report(cell={"suite_digest": "sha256:" + "0" * 64})
    assert "made with tiny-v1 00000000; the suite here is" in page.text
    assert "mean return" in page.texts
    assert "its policy is not on this machine" in page.text


@pytest.mark.parametrize(
    ("prepare", "problem"),
    [
        (lambda folder: folder / "gone.json", "gone.json: no such file or folder; expected a record"),
        (lambda folder: folder, "holds neither a record nor a saved policy"),
    ],
)
def test_a_missing_run_gets_one_line(tmp_path, prepare, problem):
    with pytest.raises(DataError, match=problem):
        write_report(prepare(tmp_path), tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_damaged_edited_failed_and_many_records_are_refused(tmp_path, make):
    record, path = make(), tmp_path / "runs" / "0.json"
    content = json.loads(record.model_dump_json())
    content["result"]["parameters"] = 5
    write_record(record, path)
    for name, text, problem in (
        ("cut.json", record.model_dump_json()[:100], "cut.json: "),
        ("edited.json", json.dumps(content), "edited.json: .*digest does not match"),
        ("0.failed.json", "{}", "0.failed.json: says why a cell failed and is no record; expected 0.json.gz"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(DataError, match=problem):
            write_report(tmp_path / name, tmp_path / "report.html")
    assert write_report(path.parent, tmp_path / "report.html").path.exists()
    write_record(make(seed=1), tmp_path / "runs" / "1.json")
    with pytest.raises(DataError, match="holds 2 records; name one of them"):
        write_report(path.parent, tmp_path / "report.html")
    with pytest.raises(DataError, match="is a folder"):
        write_report(path, tmp_path)
    with pytest.raises(MetabenchError, match=r"training\.json: cannot be read"):
        write_report(path, tmp_path / "x.html", policy=tmp_path)


def test_numbers_are_drawn_where_they_are():
    """A line's points lie where its axes say: checked against the ticks beside them."""
    y = np.array([0.0, 25.0, 100.0])
    svg = draw_lines([Series("s", np.array([0.0, 1.0, 4.0]), y)], "test")
    dots = [(float(node.get("cx")), float(node.get("cy"))) for node in svg.iter("circle")]
    bottom, height = SMALL.height - SMALL.bottom, SMALL.height - SMALL.bottom - SMALL.top
    assert np.allclose([at[1] for at in dots], bottom - height * y / 100, atol=0.06)
    across = SMALL.width - SMALL.right - SMALL.left
    assert np.allclose([at[0] for at in dots], SMALL.left + across * np.array([0, 0.25, 1.0]), atol=0.06)
    assert [node.text for node in svg.iter("text")][:5] == ["0", "25", "50", "75", "100"]


@pytest.mark.parametrize("name", ["../evil", "/etc", "a\\b", "nul\0"])
def test_a_record_names_no_place_on_this_machine(tmp_path, make, name):
    write_record(make(cell={"suite": name}), tmp_path / "0.json")
    with pytest.raises(DataError, match=r"0\.json: result\.cell\.suite: expected the name of a suite"):
        write_report(tmp_path / "0.json", tmp_path / "report.html")


def test_no_policy_is_looked_for_outside_of_where_runs_keep_them(folders, tmp_path, make):
    record = make(cell={"dataset": "../../evil"})
    outside = folders / "home" / "evil" / "bc" / record.folder.parent.name / "0"
    outside.mkdir(parents=True)
    (outside / "training.json").write_text("not JSON: it would be an error to read this")
    (folders / "home" / "policies" / "tiny-v1").mkdir(parents=True)
    assert (folders / "home" / "policies" / record.folder).resolve() == outside
    write_record(record, tmp_path / "0.json")
    written = write_report(tmp_path / "0.json", tmp_path / "report.html")
    assert written.notices == (
        "Pictures and episodes are missing: its policy is not on this machine; give its folder with --policy",
    )


@given(arrays(np.float64, st.integers(0, 6), elements=st.floats(width=64)), st.sampled_from([None, True, False]))
def test_any_numbers_have_an_axis(values, logarithmic):
    axis = make_axis(values, logarithmic=logarithmic)
    assert 0 < axis.high - axis.low < np.inf
    assert all(axis.low <= at <= axis.high for at, _ in axis.ticks)
    inside = values[np.isfinite(values) & (abs(values) < 1e299)]
    inside = inside[inside > 1e-299] if axis.logarithmic else inside
    placed = axis.place(inside, 0.0, 1.0)
    assert ((placed >= -1e-6) & (placed <= 1 + 1e-6)).all()


def test_numbers_beyond_measure_do_not_end_the_report(report, make):
    huge = 10**400
    curve = ({"stage": "a", "update": huge, "loss": huge}, {"stage": "a", "update": 2, "loss": 5e-324, "most": 1.7e308})
    page = report(
        change(make(), curve=curve, summary={"huge": huge, "small": {"after_1": 5e-324, "after_2": -1.7e308}})
    )
    assert "huge" in page.texts
    assert not [value for key, value in page.attributes if key in ("d", "cx", "cy") and "nan" in value]


def test_a_suite_in_a_folder_is_taken_from_there_and_must_be_the_runs(tmp_path, make):
    folder = shutil.copytree(load_suite("tiny").folder, tmp_path / "own")
    text = (folder / "suite.toml").read_text()
    (folder / "suite.toml").write_text(text.replace('name = "tiny"', 'name = "own"', 1))
    suite = load_suite(str(folder))
    write_record(make(cell={"suite": "own", "suite_digest": suite.digest}), tmp_path / "0.json")
    page = Page(write_report(tmp_path / "0.json", tmp_path / "report.html", suite=str(folder)).path)
    assert "score, mean over tasks" in page.texts
    assert any(text.startswith(f"metabench run {folder} ") for text in page.texts)
    assert "unknown suite" in Page(write_report(tmp_path / "0.json", tmp_path / "report.html").path).text
    with pytest.raises(MetabenchError, match="--suite tiny: is suite 'tiny', the run is of 'own'"):
        write_report(tmp_path / "0.json", tmp_path / "report.html", suite="tiny")
