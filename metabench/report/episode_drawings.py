"""Acted episodes as pictures: what the simulator shows of them, and in every suite lines over time."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from xml.etree.ElementTree import Element

import numpy as np

from metabench.envs import Array
from metabench.methods.pictures import LinePlot, Series
from metabench.report.drawing.html import figure, format_number, node, section
from metabench.report.drawing.plots import draw_legend
from metabench.report.drawing.scene_drawings import draw_frames, draw_ways
from metabench.report.episodes import ADAPTED, SHOTS, ZERO_SHOT, Acted
from metabench.report.pictures import draw_picture
from metabench.report.scores import format_task_numbers
from metabench.suites import Suite
from metabench.suites.schema import TaskEntry

COORDINATES = 5
"""Coordinates of the observation that are drawn over time, the first ones."""


def episodes_section(
    acted: Sequence[tuple[TaskEntry, list[Acted]]], suite: Suite, clip: bytes | None = None
) -> Element:
    """What the policy does in a few test tasks, without support and with its own; `clip` is a GIF of the first."""
    parts: list[Element] = []
    if clip is not None:
        parts.append(figure(_name_task(acted[0][0]), _embed_clip(clip), wide=True))
    if any(_is_point(episodes) for _, episodes in acted):
        walks = [figure(_name_task(task), _draw_walks(task, episodes)) for task, episodes in acted]
        caption = "From the start (small ring) to the goal (cross). Grey: support episodes, which are not scored."
        parts += [
            draw_legend({ZERO_SHOT: "c1", ADAPTED: "c0", "support episodes": "c7"}),
            node("div", {"class": "grid-of-plots"}, *walks),
            node("p", {"class": "soft"}, caption),
        ]
    for task, episodes in acted:
        if episodes[0].scenes and not _is_point(episodes):
            parts.append(figure(_name_task(task), *_draw_scored(episodes), wide=True))
        parts.append(draw_picture(_plot_over_time(task, episodes)))
    note = f"Acted for this report in the first test tasks of {suite.name}: one episode without support, and one after "
    note += "three that it acted itself. They begin as the protocol’s do, and are none of the scored ones."
    return section("episodes", "Episodes", *parts, note=note)


def _embed_clip(clip: bytes) -> Element:
    source = f"data:image/gif;base64,{base64.b64encode(clip).decode()}"
    told = f"The policy beside the teacher: {SHOTS} support episodes, and one after them"
    return node("img", {"class": "clip", "src": source, "alt": told})


def _is_point(episodes: Sequence[Acted]) -> bool:
    """Whether what moves is a point, so that its way says everything."""
    scenes = episodes[0].scenes
    return bool(scenes) and scenes[0].point


def _draw_walks(task: TaskEntry, episodes: Sequence[Acted]) -> Element:
    """The ways of all episodes in one picture."""
    ways = []
    for each in episodes:
        told = f"{each.kind}: return {format_number(each.episode.total_return)}"
        ways.append((each.scenes, _choose_colour(each), told, each.support))
    return draw_ways(ways, f"Walks in task {task.id}")


def _draw_scored(episodes: Sequence[Acted]) -> list[Element]:
    """A row of frames for each scored episode."""
    made = []
    for acted in _select_scored(episodes):
        head = node("h4", {}, node("span", {"class": f"key {_choose_colour(acted)}"}), acted.kind)
        made += [
            head,
            node("div", {"class": "frames"}, *draw_frames(acted.scenes, _choose_colour(acted))),
        ]
    return made


def _name_task(task: TaskEntry) -> str:
    return f"task {task.id}: {told}" if (told := format_task_numbers(task)) else f"task {task.id}"


def _select_scored(episodes: Sequence[Acted]) -> list[Acted]:
    return [each for each in episodes if not each.support]


def _choose_colour(acted: Acted) -> str:
    return "c7" if acted.support else {ZERO_SHOT: "c1", ADAPTED: "c0"}[acted.kind]


def _plot_over_time(task: TaskEntry, episodes: Sequence[Acted]) -> LinePlot:
    """Rewards and the first coordinates of the observation, after support and without."""
    adapted_first = sorted(_select_scored(episodes), key=lambda acted: acted.kind != ADAPTED)
    panels = {"reward": [_make_line(acted, acted.episode.rewards) for acted in adapted_first]}
    dimensions = adapted_first[0].episode.observations.shape[1]
    for place in range(min(dimensions, COORDINATES)):
        name = f"observation {place + 1} of {dimensions}"
        panels[name] = [
            _make_line(acted, acted.episode.observations[:, place]) for acted in adapted_first
        ]
    returns = "; ".join(
        f"{acted.kind} {format_number(acted.episode.total_return)}" for acted in episodes
    )
    return LinePlot(f"{_name_task(task)}, over time", panels, "step", f"Returns: {returns}.")


def _make_line(acted: Acted, values: Array) -> Series:
    known = np.where(np.isfinite(values), np.asarray(values, np.float64), np.nan)
    return Series(acted.kind, np.arange(len(values), dtype=np.float64), known)
