"""Exports and the terminal's tables."""

import csv
import io
import json

import pytest
from rich.console import Console

from metabench.cli.tables import print_tables
from metabench.errors import UnknownNameError
from metabench.leaderboard.export.formats import export_entries, select_entries
from metabench.leaderboard.export.text_tables import Sheet, format_sheets_as_latex
from metabench.leaderboard.scores.aggregate import aggregate
from metabench.leaderboard.scores.models import Estimate
from metabench.runs.kept.record import EXPERT_LABELS


@pytest.fixture(scope="module")
def entries(make):
    records = [make(method, seed, level=level) for method, level in (("bc", 20), ("meta-dt", 60)) for seed in (0, 1)]
    records.append(make("meta-dt/no_context", 0, level=40, overrides={"no_context": True}, configuration={"a": 1}))
    return aggregate([*records, make("teacher", 0, level=100, privileged=True)])


def print_entries(entries, width=80):
    console = Console(file=io.StringIO(), width=width)
    print_tables(entries, console)
    return console.file.getvalue()


def test_names_and_the_headline_stand_in_80_columns_whatever_the_shots(entries):
    few_shot = select_entries(entries, split="test", track="few-shot", shots=3)
    wide = {"headline": Estimate(mean=-100.7, interval=(-100.8, -100.6))}
    several = [entry.model_copy(update={"shots": shots, **wide}) for entry in few_shot for shots in (1, 3, 5, 20)]
    lines = print_entries(several).splitlines()
    assert max(map(len, lines)) <= 80
    rows = [line.split() for line in lines if "(1)" in line or "(2)" in line]
    assert [row[1] for row in rows] == ["bc", "meta-dt"]
    assert all(row[2:6] == ["-100.7"] * 4 for row in rows)
    assert sum("[-100.8, -100.6]" in line for line in lines) == len(few_shot)


def test_markdown_is_best_first_and_marks_the_privileged(entries):
    text = export_entries(select_entries(entries, split="test", track="few-shot", shots=3), "markdown")
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert [line.split("|")[1:3] for line in lines[1:]] == [
        [" (1) ", " meta-dt "],
        [" (2) ", r" meta-dt (no\_context) "],
        [" (3) ", " bc "],
        [" – ", " teacher (privileged) "],
    ]


def test_rows_of_methods_that_used_expert_labels_are_marked_and_ranked(make):
    used = make("labelled", level=70, dataset="expert-actions", summary={EXPERT_LABELS: True})
    others = aggregate([used, make("bc", level=20, dataset="expert-actions")])
    assert {entry.label: entry.uses_expert_labels for entry in others} == {"labelled": True, "bc": False}
    shown = print_entries(select_entries(others, split="test", track="zero-shot"))
    (row,) = (line for line in shown.splitlines() if "labelled" in line)
    assert row.split()[:5] == ["(1)", "labelled", "uses", "expert", "labels"]
    assert shown.count("trained with the expert's action in every state") == 1
    assert "labelled (uses expert labels)" in export_entries(others, "markdown")
    by_label = {row["label"]: row for row in csv.DictReader(io.StringIO(export_entries(others, "csv")))}
    assert {name: row["uses_expert_labels"] for name, row in by_label.items()} == {"labelled": "true", "bc": "false"}


def test_latex_is_booktabs_and_escapes_names(entries):
    text = export_entries(select_entries(entries, split="test", track="zero-shot"), "latex")
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 1
    assert r"meta-dt (no\_context)" in text
    assert "–" not in text
    assert text.count("{") == text.count("}")


def test_json_holds_the_entries(entries):
    assert json.loads(export_entries(entries, "json"))[0] == entries[0].model_dump(mode="json")


def test_a_methods_name_stands_for_its_variants(entries):
    assert {entry.method for entry in select_entries(entries, method="meta-dt")} == {"meta-dt", "meta-dt/no_context"}
    assert {entry.method for entry in select_entries(entries, method="meta-dt/no_context")} == {"meta-dt/no_context"}


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [({"method": "meta-d"}, "did you mean 'meta-dt'"), ({"shots": 2}, "unknown shots '2'; known: 0, 1, 3, 5")],
)
def test_a_filter_that_nothing_meets_names_the_nearest(entries, criteria, expected):
    with pytest.raises(UnknownNameError, match=expected):
        select_entries(entries, **criteria)


def test_an_unknown_format_names_the_nearest(entries):
    with pytest.raises(UnknownNameError, match="did you mean 'markdown'"):
        export_entries(entries, "markdwon")


def test_tables_fit_80_columns_and_are_sorted(entries):
    text = print_entries(entries)
    assert all(len(line.rstrip()) <= 80 for line in text.splitlines())
    few = text[text.index("test few-shot") : text.index("test logged-shot")]
    assert few.index("meta-dt ") < few.index("(no_context)") < few.index("bc ") < few.index("teacher")
    assert "privileged" in few
    assert all(heading in few for heading in ("1 shot", "3 shots", "5 shots"))
    entry = next(e for e in entries if (e.method, e.split, e.track, e.shots) == ("bc", "test", "few-shot", 5))
    assert f" {entry.headline.mean:.1f} " in few
    assert f"[{entry.headline.interval[0]:.1f}, {entry.headline.interval[1]:.1f}]" in few
    assert "with fewer than 3 seeds the order is no verdict" in few
    assert "1 test task: with fewer than 10 the order is no verdict" in few


def test_tables_say_what_is_missing_and_take_names_as_text(make):
    records = [make("[bold]odd", keep=lambda block: None if block.track == "zero-shot" else block)]
    text = print_entries(aggregate(records))
    assert "[bold]odd" in text
    assert "seed 0: not evaluated" in text


def test_latex_halves_intervals_and_sets_names_in_what_is_left(entries):
    chosen = select_entries(entries, method="bc", split="test", track="few-shot", shots=3)
    text = export_entries(chosen, "latex")
    (entry,) = chosen
    low, high = entry.headline.interval
    cells = next(line for line in text.splitlines() if "& bc &" in line).removesuffix(r" \\").split(" & ")
    assert cells[:3] == ["(1)", "bc", rf"{entry.headline.mean:.1f} $\pm$ {(high - low) / 2:.1f}"]
    assert cells[3:] == [f"{entry.worst_task.score.mean:.1f}", "--", "--", "2"]
    assert r"p{\dimexpr\columnwidth-196pt\relax}" in text


def test_many_tables_of_latex_do_not_wait_for_a_place_all_at_once():
    sheet = Sheet("title", ("name",), "l", (("bc",),), ())
    text = format_sheets_as_latex([sheet] * 40)
    waiting = [part.count(r"\begin{table}") for part in text.split(r"\clearpage")]
    assert waiting == [16, 16, 8]
