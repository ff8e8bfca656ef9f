"""The pictures of a suite's card: the expert in a few tasks as its simulator shows it, flat and always the same.

A row of frames a task; or, where a point moves in the plane, its ways side by side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metabench.data.making.plan import plan_trajectories
from metabench.data.storage.store import open_store
from metabench.envs import BatchedEnvironment, Scene
from metabench.envs.scene import root_moves
from metabench.envs.scene_painter import FINER, INK, ScenePainter, write_text
from metabench.errors import DataError
from metabench.seeding import derive_seed
from metabench.suites import Suite
from metabench.suites.schema import TaskEntry

TASKS, FRAMES = 4, 7
"""Rows (the first test tasks) and frames in each, evenly over the episode."""

WIDTH, SIDE_HEIGHT = 150, 112
"""Pixels of a frame; frames seen from above are squares."""

GAP, LABEL = 4, 20
"""Pixels between frames, and of the line of text above them."""


@dataclass(frozen=True)
class EpisodeRow:
    """One episode: its task, and the scenes before each step and after the last."""

    task: TaskEntry
    scenes: tuple[Scene, ...]


def write_strip(suite: Suite, path: Path) -> bool:
    """Draw the first `expert` trajectory of the first test tasks into a PNG file; False if the simulator shows nothing.

    Raises:
        DataError: `expert` is not built, or the simulator here does not repeat it.
    """
    tasks = suite.split("test")[:TASKS]
    recipe = suite.entry.datasets.get("expert")
    if (
        recipe is None or recipe.minari or not tasks
    ):  # what others have recorded cannot be acted once more
        return False
    environment = suite.environment()
    environment.reset([tasks[0].parameters], [0])
    if environment.scene(0) is None:
        return False
    rows = [_replay_episode(suite, environment, task) for task in tasks]
    picture = draw_ways(rows) if rows[0].scenes[0].point else draw_rows(rows)
    picture.quantize(64, method=2, dither=0).save(path, optimize=True)
    return True


def _replay_episode(suite: Suite, environment: BatchedEnvironment, task: TaskEntry) -> EpisodeRow:
    """Repeat a stored episode by its stored actions."""
    columns, plan = (
        open_store(suite, "expert").trajectories.columns,
        plan_trajectories(suite, "expert"),
    )
    episode = plan.tasks.index(task.id)
    start, stop = int(columns.offsets[episode]), int(columns.offsets[episode + 1])
    environment.reset([task.parameters], [derive_seed(plan.seeds[episode], "reset")])
    scenes = [environment.scene(0)]
    for row in range(start, stop):
        step = environment.step(columns.actions[row : row + 1])
        if np.float32(step.reward[0]) != columns.rewards[row]:
            raise DataError(
                f"{suite.identity} expert: episode {episode} was made by another simulator than that here"
            )
        scenes.append(environment.scene(0))
    return EpisodeRow(task, tuple(scene for scene in scenes if scene is not None))


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
        steps = np.linspace(0, len(row.scenes) - 1, FRAMES).round().astype(int)
        write_text(picture, 2, top + 2, _describe_task(row.task), 13, INK)
        for column, step in enumerate(steps.tolist()):
            frame = ScenePainter(WIDTH, height, row.scenes[step]).paint_frame(show_place=with_ways)
            write_text(frame, 5, 3, row.scenes[step].describe_moment(step), 11, INK)
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
