"""What users see of running cells, with and without a terminal."""

from __future__ import annotations

import io
import re
import time

import pytest
from rich.console import Console

from metabench.cli import run_display as display
from metabench.cli.run_display import make_display
from metabench.runs.executors.events import Event
from metabench.runs.plan import plan_cells
from metabench.runs.request import RunRequest

EVENTS = [
    Event(0, "started"),
    Event(0, "progress", "training: policy", 5, 10, {"loss": 0.125}),
    Event(0, "progress", "evaluating: test few-shot: 3 shots", 1, 20),
    Event(0, "finished"),
    Event(1, "started"),
    Event(1, "failed", message="the [loss] went away"),
]


def wait(terminal):
    """Long enough for a terminal's bars to be drawn, ten times a second."""
    time.sleep(0.25 if terminal else 0)


def show_events(terminal, place, small, width=160):
    cells = plan_cells(RunRequest(["tiny"], ["medium"], [small], seeds=(0, 1)))
    console = Console(file=io.StringIO(), force_terminal=terminal, width=width, color_system=None)
    with make_display(console, lambda: cells) as screen:
        screen.show_building("tiny medium: rolling out", 5, 10)
        wait(terminal)
        screen.show_building("tiny medium: rolling out", 10, 10)
        for event in EVENTS:
            screen.hear(event)
            wait(terminal)
    return console.file.getvalue()


@pytest.mark.slow
def test_a_terminal_shows_bars_with_stage_updates_and_loss(place, small):
    text = show_events(True, place, small)
    assert "building tiny medium: rolling out" in text
    assert "small seed 0  training: policy" in text
    assert "5/10" in text
    assert "loss 0.125" in text
    assert "test few-shot: 3 shots" in text
    assert "finished tiny medium small seed 0" in text
    assert "failed tiny medium small seed 1: the [loss] went away" in text


@pytest.mark.slow
def test_80_columns_have_bar_count_and_time_first_and_no_line_is_longer(place, small):
    text = show_events(True, place, small, width=80)
    drawn = [line for line in re.split(r"[\r\n]|\x1b\[[0-9]*[A-Z]", text) if "━" in line]
    assert any(re.search(r"━ +5/10 +\S+ small seed 0  training: policy", line) for line in drawn)
    assert max(len(re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line)) for line in drawn) <= 80


def test_elsewhere_there_are_occasional_lines(place, small, monkeypatch):
    assert show_events(False, place, small).splitlines() == [
        "building tiny medium: rolling out: 10 of 10",
        "tiny medium small seed 0: started",
        "tiny medium small seed 0: finished after 0.0 s",
        "tiny medium small seed 1: started",
        "tiny medium small seed 1: failed: the [loss] went away",
    ]
    monkeypatch.setattr(display, "LINE_SECONDS", 0.0)
    assert "tiny medium small seed 0: training: policy, 5 of 10, loss 0.125" in show_events(False, place, small)
