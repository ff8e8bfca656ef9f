"""The page of a report: one file without a script, which loads nothing."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any
from xml.etree.ElementTree import Element

from markupsafe import Markup

from metabench.evaluation.protocol import VALIDATION
from metabench.evaluation.rows import Counts
from metabench.leaderboard.page.fill_template import (
    fill_template,
    hash_inline_part,
    read_page_style,
)
from metabench.leaderboard.scores.aggregate import aggregate
from metabench.leaderboard.scores.quotas import SuiteShelf
from metabench.methods.configuring import label_method
from metabench.methods.pictures import Picture
from metabench.report.diagnostics import render_diagnostics
from metabench.report.drawing.html import (
    format_duration,
    format_number,
    node,
    pairs,
    render_html,
    section,
)
from metabench.report.episode_drawings import episodes_section
from metabench.report.episodes import Acted
from metabench.report.load_run import Subject
from metabench.report.pictures import render_pictures
from metabench.report.predictions import render_predictions
from metabench.report.scores import find_suite, render_scores, render_tiles
from metabench.report.training import render_training
from metabench.runs.kept.record import Record
from metabench.suites import Suite
from metabench.suites.schema import TaskEntry
from metabench.system.wording import say_count

_TEMPLATES = files("metabench.report") / "templates"


@dataclass(frozen=True)
class Content:
    """All that a report shows.

    Attributes:
        subject: the run.
        suite: its suite, if that is at hand.
        pictures: what its policy offers, of held-out trajectories of the training tasks.
        test_pictures: the same of logged trajectories of the test tasks.
        episodes: what its policy did in some test tasks.
        notices: what is missing, a line each.
    """

    subject: Subject
    suite: Suite | None
    pictures: Sequence[Picture]
    test_pictures: Sequence[Picture]
    episodes: Sequence[tuple[TaskEntry, list[Acted]]]
    notices: Sequence[str]


def render_report(content: Content) -> str:
    """The whole page; whatever names it holds, they are text."""
    style = read_page_style() + (_TEMPLATES / "report.css").read_text(encoding="utf-8")
    body = _render_body(content)
    parts = {
        "style": Markup(style),
        "style_hash": Markup(hash_inline_part(style)),
        "title": _write_title(content.subject),
        "body": Markup("".join(render_html(part) for part in body)),
    }
    return fill_template((_TEMPLATES / "report.html").read_text(encoding="utf-8"), parts)


def _render_body(content: Content) -> list[Element]:
    subject, record = content.subject, content.subject.record
    entries, tiles, scores = [], None, None
    if record is not None:
        shelf = SuiteShelf() if content.suite is None else SuiteShelf([content.suite])
        entries = aggregate([record], shelf)
        tiles = render_tiles(entries)
        scores = render_scores(record, entries, find_suite(record, shelf))
    parts = [
        _render_identity(subject, content.suite),
        scores,
        None if record is None else render_predictions(record.result.predictions),
        render_training(subject.curve),
        render_diagnostics(subject.summary),
        render_pictures(content.pictures, of_test_tasks=False),
        render_pictures(content.test_pictures, of_test_tasks=True),
        episodes_section(content.episodes, content.suite)
        if content.episodes and content.suite
        else None,
    ]
    shown = [part for part in parts if part is not None]
    links = [node("a", {"href": f"#{part.get('id')}"}, part.findtext(".//h2")) for part in shown]
    notices = [*content.notices]
    if record is None:
        notices.append(
            "Scores are missing: a saved policy has none; give the run’s record to see them."
        )
    return [
        _render_header(subject, tiles),
        node("nav", {"aria-label": "Parts of the report"}, *links),
        node("main", {}, *(node("p", {"class": "notice"}, text) for text in notices), *shown),
    ]


def _write_title(subject: Subject) -> str:
    return f"{label_method(subject.cell.method, subject.overrides)} on {subject.cell.suite}"


def _render_header(subject: Subject, tiles: Element | None) -> Element:
    cell = subject.cell
    seconds, device = _read_training_time(subject)
    parameters = f": {format_number(subject.parameters)} parameters" if subject.parameters else ""
    lede = (
        f"Trained on {cell.dataset} data of {subject.training_tasks} tasks of {cell.suite}-v{cell.suite_version}, "
        f"preset {cell.preset}, seed {cell.seed}{parameters}, "
        f"{format_duration(seconds)} of training on {device}."
    )
    if subject.privileged:
        lede += " It is shown the test tasks: an upper bound that is never ranked."
    heading = node("h1", {}, _write_title(subject))
    return node(
        "header",
        {},
        node("p", {"class": "wordmark"}, "metabench report"),
        heading,
        node("p", {"class": "lede"}, lede),
        tiles,
    )


def _read_training_time(subject: Subject) -> tuple[float, str]:
    if subject.record is not None:
        return subject.record.provenance.seconds_training, subject.record.provenance.device
    assert subject.training is not None
    return subject.training.seconds, subject.training.device


def _render_identity(subject: Subject, suite: Suite | None) -> Element:
    """What it is, how it was made, with which configuration."""
    cell = subject.cell
    which = {
        "suite": f"{cell.suite}-v{cell.suite_version} ({_shorten_digest(cell.suite_digest)})",
        "dataset": f"{cell.dataset}, version {cell.dataset_version} ({_shorten_digest(cell.dataset_digest)})",
        "method": f"{cell.method}, version {cell.method_version}",
        "preset": cell.preset,
        "configuration": _shorten_digest(cell.config_digest),
        "seed": str(cell.seed),
        "protocol": cell.protocol,
        "parameters": format_number(subject.parameters),
        "training tasks": format_number(subject.training_tasks),
    }
    made = _describe_provenance(subject.record) if subject.record is not None else {}
    warnings = subject.record.provenance.warnings if subject.record is not None else ()
    return section(
        "identity",
        "What it is",
        node(
            "div",
            {"class": "columns"},
            node("div", {}, node("h3", {}, "Cell"), pairs(which)),
            node("div", {}, node("h3", {}, "How it was made"), pairs(made)) if made else None,
        ),
        *(node("p", {"class": "notice"}, text) for text in warnings),
        node("h3", {}, "Reproduce"),
        node("pre", {"tabindex": "0"}, _make_command(subject, suite)),
        *_render_configuration(subject),
    )


def _describe_provenance(record: Record) -> dict[str, str]:
    made, counts = record.provenance, record.result.counts
    revision = "unknown" if made.git_revision is None else made.git_revision[:12]
    if made.git_revision is not None and made.git_dirty:
        revision += ", changed"
    training = format_duration(made.seconds_training)
    if made.resumed:
        training += f", resumed {made.resumed} times"
    return {
        "made": made.created[:16].replace("T", " ") + " UTC",
        "machine": made.host,
        "device": f"{made.device}, {say_count(made.threads, 'thread')}",
        "training": training,
        "evaluating": f"{format_duration(made.seconds_evaluating)}: adapting {format_duration(made.seconds_adapting)}, "
        f"acting {format_duration(made.seconds_acting)}",
        "real steps": _spell_steps(counts),
        "revision": revision,
        "packages": ", ".join(f"{name} {version}" for name, version in made.packages.items()),
        "command then": made.command or "unknown",
    }


def _spell_steps(counts: Counts) -> str:
    if counts.development_steps:
        return f"{format_number(counts.development_steps)} in validation tasks"
    scored, support = format_number(counts.scored_steps), format_number(counts.support_steps)
    return f"{scored} scored, {support} of support"


def _make_command(subject: Subject, suite: Suite | None) -> str:
    """What runs this very cell again."""
    cell, training = subject.cell, subject.training
    spec = cell.method if training is None else training.spec
    overrides = subject.overrides if training is None else training.overrides
    place = cell.suite if suite is None else suite.argument
    words = ["metabench", "run", place, "--dataset", cell.dataset, "--method", spec]
    seed = f"{cell.seed},"  # with its comma one seed, not a number of them
    words += ["--preset", cell.preset, "--seeds", seed]
    if subject.record is not None and subject.record.develops:
        words += ["--split", VALIDATION]
    for key in sorted(overrides):
        words += ["--set", f"{key}={_format_json(overrides[key])}"]
    return shlex.join(words)


def _render_configuration(subject: Subject) -> list[Element]:
    def format_values(content: Mapping[str, Any]) -> dict[str, str]:
        return {
            key: value if isinstance(value, str) else _format_json(value)
            for key, value in content.items()
        }

    rest = {
        key: value
        for key, value in sorted(subject.configuration.items())
        if key not in subject.overrides
    }
    parts = [node("h3", {}, f"Configuration: what differs from preset {subject.cell.preset}")]
    if subject.overrides:
        parts.append(
            pairs(format_values(dict(sorted(subject.overrides.items()))), changed=subject.overrides)
        )
    else:
        parts.append(node("p", {"class": "soft"}, "Nothing."))
    if rest:
        title = f"The {format_number(len(rest))} keys that are as the preset has them"
        parts.append(node("details", {}, node("summary", {}, title), pairs(format_values(rest))))
    return parts


def _shorten_digest(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]


def _format_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
