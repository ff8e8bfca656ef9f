"""The picture strip of a MuJoCo suite's card: frames of the expert in a few tasks, drawn flat and always the same."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metabench.data.making.plan import plan_trajectories
from metabench.data.storage.store import open_store
from metabench.envs import Array
from metabench.errors import DataError
from metabench.seeding import derived_seed
from metabench.suites import Suite
from metabench.suites.schema import TaskEntry

TASKS, FRAMES = 4, 7
"""Rows (the first test tasks) and frames in each, evenly over the episode."""

METRE, WIDTH = 62, 150
"""Pixels of a metre and of a frame."""

FINER = 3
"""Drawn so many times larger, then reduced: smooth edges."""

INK, FAINT, GROUND, SKY = (60, 60, 60), (205, 205, 205), (232, 230, 224), (250, 250, 248)
WANTED = (25, 110, 180)


@dataclass(frozen=True)
class _Row:
    """One episode: its task, and the joint positions before each step and after the last."""

    task: TaskEntry
    positions: Array


def write_strip(suite: Suite, path: Path) -> bool:
    """Draw the first `expert` trajectory of the first test tasks into a PNG file; False if the family has no body.

    Raises:
        DataError: `expert` is not built, or the simulator here does not repeat it.
    """
    from metabench.envs.locomotion.environment import LocomotionEnvironment

    environment = suite.environment()
    if not isinstance(environment, LocomotionEnvironment):
        return False
    rows = [_replayed(suite, environment, task) for task in suite.split("test")[:TASKS]]
    picture = _drawn(rows, environment.model, environment.seconds)
    picture.quantize(64, method=2, dither=0).save(path, optimize=True)
    return True


def _replayed(suite: Suite, environment: Any, task: TaskEntry) -> _Row:
    """Repeat a stored episode by its stored actions."""
    columns, plan = open_store(suite, "expert").trajectories.columns, plan_trajectories(suite, "expert")
    episode = plan.tasks.index(task.id)
    start, stop = int(columns.offsets[episode]), int(columns.offsets[episode + 1])
    environment.reset([task.parameters], [derived_seed(plan.seeds[episode], "reset")])
    positions = [environment.positions[0].copy()]
    for row in range(start, stop):
        step = environment.step(columns.actions[row : row + 1])
        if np.float32(step.reward[0]) != columns.rewards[row]:
            raise DataError(f"{suite.identity} expert: episode {episode} was made by another simulator than that here")
        positions.append(environment.positions[0].copy())
    return _Row(task, np.array(positions))


def _drawn(rows: list[_Row], model: Any, seconds: float) -> Any:
    """All rows under each other."""
    from PIL import Image

    from metabench.envs.locomotion.picture import seen_from_above

    above = seen_from_above(model)
    height = WIDTH if above else 112
    label = 20
    columns = FRAMES + above
    size = (columns * WIDTH + (columns - 1) * 4, len(rows) * (height + label))
    picture = Image.new("RGB", (size[0] * FINER, size[1] * FINER), "white")
    for place, row in enumerate(rows):
        top = place * (height + label)
        steps = np.linspace(0, len(row.positions) - 1, FRAMES).round().astype(int)
        _write(picture, 2, top + 2, _title(row.task), 13, INK)
        for column, step in enumerate(steps.tolist()):
            frame = _frame(row, model, step, height, above)
            _write(frame, 5, 3, f"{step * seconds:.1f} s", 11, INK)
            picture.paste(frame, (column * (WIDTH + 4) * FINER, (top + label) * FINER))
        if above:
            path, reach = _path(row)
            _write(picture, FRAMES * (WIDTH + 4) + 2, top + 2, f"path, {2 * reach:.0f} m wide", 13, INK)
            picture.paste(path, (FRAMES * (WIDTH + 4) * FINER, (top + label) * FINER))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _title(task: TaskEntry) -> str:
    """The task and the one number that fixes it, if it is one."""
    numbers = {key: value for key, value in task.parameters.items() if isinstance(value, int | float)}
    return f"task {task.id}" + "".join(f": {key} {round(value, 2):g}" for key, value in numbers.items())


def _frame(row: _Row, model: Any, step: int, height: int, above: bool) -> Any:
    """The body at one step: from above with its root in the middle, from the side as a whole over the ground."""
    from PIL import Image, ImageDraw

    from metabench.envs.locomotion.picture import limbs

    image = Image.new("RGB", (WIDTH * FINER, height * FINER), SKY)
    draw = ImageDraw.Draw(image)
    unit = METRE * FINER
    body = limbs(model, row.positions[step])
    root = row.positions[step][:2] if above else np.array([np.mean([limb.ends[:, 0] for limb in body]), 0.0])
    middle = np.array([WIDTH / 2, height / 2 if above else height - 16]) * FINER

    def place(points: Array) -> Array:
        return np.asarray((points - root) * [unit, -unit] + middle)

    reach = WIDTH / METRE / 2
    for metre in range(math.ceil(root[0] - reach), math.floor(root[0] + reach) + 1):
        x = float(place(np.array([metre, 0.0]))[0])
        top = 0 if above else middle[1]
        draw.line([(x, top), (x, top + (height if above else 4) * FINER)], FAINT if above else INK, FINER)
        if not above and 12 < x / FINER < WIDTH - 12:
            _write(image, x / FINER, height - 13, f"{metre} m", 10, INK, "ma")
    if above:
        for metre in range(math.ceil(root[1] - reach), math.floor(root[1] + reach) + 1):
            y = float(place(np.array([0.0, metre]))[1])
            draw.line([(0, y), (WIDTH * FINER, y)], FAINT, FINER)
        _write(image, WIDTH - 5, height - 15, f"({root[0]:.1f}, {root[1]:.1f}) m", 10, INK, "ra")
    else:
        draw.line([(0, middle[1]), (WIDTH * FINER, middle[1])], INK, FINER)
    for limb in body:
        first, second = place(limb.ends)
        edge = tuple(round(part * 0.55) for part in limb.colour)
        for radius, colour in ((limb.radius * unit, edge), (limb.radius * unit - 1.2 * FINER, limb.colour)):
            draw.line([tuple(first), tuple(second)], colour, round(2 * radius))
            for end in (first, second):
                draw.ellipse([tuple(end - radius), tuple(end + radius)], colour)
    if above:
        _arrow(draw, row.task, middle)
    return image


def _arrow(draw: Any, task: TaskEntry, middle: Array) -> None:
    """The wanted direction, from the middle outwards."""
    direction = np.array([math.cos(task.parameters["angle"]), -math.sin(task.parameters["angle"])])
    across = np.array([-direction[1], direction[0]])
    tip = middle + direction * WIDTH * FINER * 0.3
    draw.line([tuple(middle), tuple(tip - direction * 6 * FINER)], WANTED, 3 * FINER)
    barbs = [tuple(tip - direction * 10 * FINER + across * side * FINER) for side in (5, -5)]
    draw.polygon([tuple(tip), *barbs], WANTED)


def _path(row: _Row) -> tuple[Any, float]:
    """Where the root has been, and the wanted direction, from above; and half the width of the picture in metres."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (WIDTH * FINER, WIDTH * FINER), SKY)
    draw = ImageDraw.Draw(image)
    path = row.positions[:, :2]
    reach = max(1.0, float(np.abs(path).max()) * 1.1)
    middle = np.array([WIDTH, WIDTH]) * FINER / 2
    angle = row.task.parameters["angle"]
    ray = np.array([[0.0, 0.0], [math.cos(angle), math.sin(angle)]]) * reach * 2
    for points, colour, width in ((ray, WANTED, 1), (path, INK, 2)):
        placed = points * [WIDTH * FINER / 2 / reach, -WIDTH * FINER / 2 / reach] + middle
        draw.line([tuple(point) for point in placed.tolist()], colour, width * FINER, joint="curve")
    return image, reach


def _write(
    image: Any, x: float, y: float, text: str, size: int, colour: tuple[int, int, int], anchor: str = "la"
) -> None:
    from PIL import ImageDraw, ImageFont

    font = ImageFont.load_default(size * FINER)
    ImageDraw.Draw(image).text((x * FINER, y * FINER), text, colour, font, anchor)
