"""The picture of a suite's card: the expert in a few tasks as its simulator shows it.

A row of frames a task; or, where a point moves in the plane, its ways side by side. MuJoCo's frames are rendered where
EGL or OSMesa is there; all others are drawn flat. What is shown are the first trajectories of `expert`, whether built
or not: the teacher acts them once more, with their seeds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from metabench.data.columns import Columns
from metabench.data.making.plan import plan_trajectories
from metabench.data.making.roll_out import roll_out
from metabench.data.storage.store import open_store, store_exists
from metabench.envs import Array, BatchedEnvironment, Scene
from metabench.envs.scene import root_moves
from metabench.envs.scene_painter import FINER, INK, ScenePainter, write_text
from metabench.errors import DataError, NoRendererError
from metabench.seeding import derive_seed
from metabench.suites import Suite
from metabench.suites.schema import TaskEntry

TASKS, FRAMES = 4, 7
"""Rows (the first test tasks) and frames in each, evenly over the episode."""

WIDTH, SIDE_HEIGHT = 150, 112
"""Pixels of a frame; frames seen from above are squares."""

COLOURS, RENDERED_COLOURS = 64, 32
"""Of the file: a card's picture takes at most 60 KB."""

GAP, LABEL = 4, 20
"""Pixels between frames, and of the line of text above them."""


@dataclass(frozen=True)
class EpisodeRow:
    """One episode: its task, the scenes before each step and after the last, and what was rendered at some of them."""

    task: TaskEntry
    scenes: tuple[Scene, ...]
    rendered: Mapping[int, Array] = field(default_factory=dict)


EXPERT = "expert"
"""The dataset, and the behaviour of the teacher, that is shown."""


def write_strip(suite: Suite, path: Path) -> bool:
    """Draw an `expert` trajectory of each of the first test tasks into a PNG file.

    Returns:
        False if there is nothing to draw: no teacher, no test task, or a simulator that shows nothing.

    Raises:
        DataError: `expert` is built, and the simulator here does not repeat it.
    """
    tasks = suite.split("test")[:TASKS]
    if not tasks or EXPERT not in suite.teacher().behaviours:
        return False
    environment = suite.environment()
    environment.reset([tasks[0].parameters], [0])
    if environment.scene(0) is None:
        return False
    rows = [_replay_episode(suite, environment, *each) for each in _find_episodes(suite, tasks)]
    picture = draw_ways(rows) if rows[0].scenes[0].point else draw_rows(rows)
    colours = RENDERED_COLOURS if rows[0].rendered else COLOURS
    picture.quantize(colours, method=2, dither=0).save(path, optimize=True)
    return True


def _find_episodes(
    suite: Suite, tasks: Sequence[TaskEntry]
) -> list[tuple[TaskEntry, Columns, int, int]]:
    """Of each task the columns that hold its first trajectory, its place in them, and its seed."""
    recipe = suite.entry.datasets.get(EXPERT)
    if recipe is None or recipe.minari:  # what others have recorded cannot be acted once more
        seeds = [derive_seed("card", suite.name, task.id) for task in tasks]
    else:
        plan = plan_trajectories(suite, EXPERT)
        places = [plan.tasks.index(task.id) for task in tasks]
        seeds = [plan.seeds[place] for place in places]
        if store_exists(suite, EXPERT):
            columns = open_store(suite, EXPERT).trajectories.columns
            return [
                (task, columns, *each)
                for task, each in zip(tasks, zip(places, seeds, strict=True), strict=True)
            ]
    acted = roll_out(suite, [task.id for task in tasks], [EXPERT] * len(tasks), seeds).columns
    return [(task, acted, place, seeds[place]) for place, task in enumerate(tasks)]


def _replay_episode(
    suite: Suite,
    environment: BatchedEnvironment,
    task: TaskEntry,
    columns: Columns,
    episode: int,
    seed: int,
) -> EpisodeRow:
    """Repeat an episode by its actions, and look."""
    start, stop = int(columns.offsets[episode]), int(columns.offsets[episode + 1])
    chosen = set(_choose_steps(stop - start))
    environment.reset([task.parameters], [derive_seed(seed, "reset")])
    scenes = [environment.scene(0)]
    rendered = {0: _render(environment, scenes[0])}
    for step_number, row in enumerate(range(start, stop), 1):
        step = environment.step(columns.actions[row : row + 1])
        if np.float32(step.reward[0]) != columns.rewards[row]:
            raise DataError(
                f"{suite.identity} expert: episode {episode} was made by another simulator than that here"
            )
        scenes.append(environment.scene(0))
        if step_number in chosen and rendered[0] is not None:
            rendered[step_number] = _render(environment, scenes[-1])
    found = {number: picture for number, picture in rendered.items() if picture is not None}
    return EpisodeRow(task, tuple(scene for scene in scenes if scene is not None), found)


def _choose_steps(steps: int) -> list[int]:
    """The steps whose frames are shown, evenly over the episode."""
    return [round(number) for number in np.linspace(0, steps, FRAMES).tolist()]


def _render(environment: BatchedEnvironment, scene: Scene | None) -> Array | None:
    """The simulator's own frame, as large as it is painted; None where it renders none, or not here."""
    height = WIDTH if scene is not None and scene.view == "above" else SIDE_HEIGHT
    try:
        return environment.frame(0, WIDTH * FINER, height * FINER)
    except NoRendererError:
        return None


def draw_rows(rows: Sequence[EpisodeRow]) -> Any:
    """A PIL image of all rows under each other: frames, and beside them the way of a root that moves."""
    from PIL import Image

    with_ways = rows[0].scenes[0].view == "above" and any(root_moves(row.scenes) for row in rows)
    height = WIDTH if rows[0].scenes[0].view == "above" else SIDE_HEIGHT
    columns = FRAMES + with_ways
    size = (columns * WIDTH + (columns - 1) * GAP, len(rows) * (height + LABEL))
    picture = Image.new("RGB", (size[0] * FINER, size[1] * FINER), "white")
    for place, row in enumerate(rows):
        top = place * (height + LABEL)
        write_text(picture, 2, top + 2, _describe_task(row.task), 13, INK)
        for column, step in enumerate(_choose_steps(len(row.scenes) - 1)):
            if step in row.rendered:
                frame = Image.fromarray(row.rendered[step])
            else:
                painter = ScenePainter(WIDTH, height, row.scenes[step])
                frame = painter.paint_frame(show_place=with_ways)
            halo = 2 if step in row.rendered else 0
            write_text(frame, 5, 3, row.scenes[step].describe_moment(step), 11, INK, halo=halo)
            picture.paste(frame, (column * (WIDTH + GAP) * FINER, (top + LABEL) * FINER))
        if with_ways:
            left = FRAMES * (WIDTH + GAP)
            way, reach = _paint_way(row.scenes)
            write_text(picture, left + 2, top + 2, f"path, {2 * reach:.0f} m wide", 13, INK)
            picture.paste(way, (left * FINER, (top + LABEL) * FINER))
    return picture.resize(size, Image.Resampling.LANCZOS)


def draw_ways(rows: Sequence[EpisodeRow]) -> Any:
    """A PIL image of the tasks side by side: the way of the point in each, from above."""
    from PIL import Image

    size = (len(rows) * WIDTH + (len(rows) - 1) * GAP, WIDTH + LABEL)
    picture = Image.new("RGB", (size[0] * FINER, size[1] * FINER), "white")
    for column, row in enumerate(rows):
        left = column * (WIDTH + GAP)
        write_text(picture, left + 2, 2, _describe_task(row.task), 13, INK)
        way, _ = _paint_way(row.scenes)
        picture.paste(way, (left * FINER, LABEL * FINER))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _describe_task(task: TaskEntry) -> str:
    """The task and the numbers that fix it, but for those in lists."""
    numbers = {
        key: value for key, value in task.parameters.items() if isinstance(value, int | float)
    }
    return f"task {task.id}" + "".join(
        f": {key} {round(value, 2):g}" for key, value in numbers.items()
    )


def _paint_way(scenes: Sequence[Scene]) -> tuple[Any, float]:
    """Where the root has been, from above, as a PIL image; and half its width in metres."""
    path = np.array([scene.root for scene in scenes])  # (steps + 1, 2)
    first = scenes[0]
    seen = [path] if first.goal is None else [path, np.array([first.goal])]
    seen += [
        np.array(shape.points) for shape in first.shapes if first.point and hasattr(shape, "points")
    ]
    reach = max(1.0, float(np.abs(np.concatenate(seen)).max()) * 1.1)
    painter = ScenePainter(WIDTH, WIDTH, Scene("above", (0.0, 0.0), width=2 * reach))
    if first.point:
        painter.paint_shapes(first.shapes)
    if first.direction is not None:
        ray = (
            np.array([[0.0, 0.0], [math.cos(first.direction), math.sin(first.direction)]])
            * reach
            * 2
        )
        painter.paint_wanted_line(ray)
    painter.paint_path(path)
    if first.goal is not None:
        painter.paint_cross(first.goal)
    return painter.image, reach
