"""From watched episodes to frames: how many of them, how fast, and in which order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from metabench.envs import Array
from metabench.errors import MetabenchError
from metabench.suites.schema import TaskEntry
from metabench.watching.acting import Watched
from metabench.watching.frame import FramePainter, Panel, Title
from metabench.watching.replay import Moment, Replayer

FPS = 20
"""Frames a second."""

LONGEST = 20
"""Seconds that a clip lasts at most, unless `every` is given."""

SLOWEST = 8
"""Frames a second of episodes that are so short that one could not follow them."""

HOLD = 0.6
"""Seconds that the end of an episode stays."""

SMALLEST, LARGEST = 64, 1280
"""Pixels of a lane's width and height."""


@dataclass(frozen=True)
class Pace:
    """How an episode is shown.

    Attributes:
        every: steps from one frame to the next.
        fps: frames a second.
        hold: how often the last frame of an episode is repeated.
    """

    every: int
    fps: float
    hold: int


@dataclass(frozen=True)
class Clip:
    """What is to be written.

    Attributes:
        size: width and height of its frames.
        pace: how fast.
        frames: makes them, one after another.
    """

    size: tuple[int, int]
    pace: Pace
    frames: Callable[[], Iterator[Array]]


def choose_pace(
    lengths: list[int], fps: float | None, every: int | None, longest: float = LONGEST
) -> Pace:
    """Show every step where that lasts no longer than `longest` seconds, else every n-th.

    Args:
        lengths: steps of the episodes.
        fps: frames a second; None is 20, but 8 where episodes are short.
        every: steps from one frame to the next; None chooses.
        longest: seconds.

    Raises:
        MetabenchError: `fps` is not above 0 and at most 60, or `every` is below 1.
    """
    if fps is not None and not 0 < fps <= 60:
        raise MetabenchError(f"fps: expected more than 0 and at most 60, found {fps:g}")
    if every is not None and every < 1:
        raise MetabenchError(f"every: expected 1 or more, found {every}")
    chosen = float(FPS if fps is None else fps)
    if fps is None and sum(lengths) <= SLOWEST * longest / 2:
        chosen = SLOWEST
    hold = round(HOLD * chosen)
    room = max(longest * chosen - len(lengths) * (hold + 1), len(lengths))
    return Pace(every or max(1, math.ceil(sum(lengths) / room)), chosen, hold)


def make_clip(
    watched: Watched,
    *,
    width: int = 320,
    height: int = 240,
    fps: float | None = None,
    every: int | None = None,
    longest: float = LONGEST,
    notify: Callable[[str], None] = lambda line: None,
) -> Clip:
    """Lay out the clip of watched episodes: support first, then the scored one, the teacher beside it.

    Args:
        watched: what was acted.
        width: pixels of a lane.
        height: pixels of a lane.
        fps: as of `choose_pace`.
        every: as of `choose_pace`.
        longest: as of `choose_pace`.
        notify: told in one line why the simulator's own pictures are missing, once.

    Raises:
        MetabenchError: a number is out of its range.
    """
    for name, value in (("width", width), ("height", height)):
        if not SMALLEST <= value <= LARGEST:
            raise MetabenchError(f"{name}: expected {SMALLEST} to {LARGEST} pixels, found {value}")
    shown = [watched.episodes, *([watched.taught] if watched.taught else [])]
    lengths = [max(len(each) for each in pair) for pair in zip(*shown, strict=True)]
    pace = choose_pace(lengths, fps, every, longest)
    painter = FramePainter(width, height, len(shown))

    def frames() -> Iterator[Array]:
        replayers = [Replayer(watched.suite, width, height) for _ in shown]
        for place, start in enumerate(watched.starts):
            title = Title(_name_task(watched), _name_stage(watched, place), start.scored)
            sources = [
                _then_stay(
                    replayer.replay(watched.task, start.reset_seed, episodes[place], pace.every)
                )
                for replayer, episodes in zip(replayers, shown, strict=True)
            ]
            for moments in zip(*sources, strict=False):  # each goes on for ever
                panels = [Panel(watched.name, moments[0])]
                panels += [Panel("teacher (told the task)", each, True) for each in moments[1:]]
                ended = all(moment.ended for moment in moments)
                share = max(moment.step for moment in moments) / lengths[place]
                done = [1.0] * place + [share] + [0.0] * (len(watched.starts) - place - 1)
                frame = painter.paint(title, panels, done)
                yield from [frame] * (1 + pace.hold * ended)
                if ended:
                    break
            if place == 0 and replayers[0].painter.notice is not None:
                notify(replayers[0].painter.notice)

    return Clip(painter.size, pace, frames)


def _then_stay(moments: Iterator[Moment]) -> Iterator[Moment]:
    """The moments, and the last of them for ever."""
    moment = None
    for moment in moments:
        yield moment
    while moment is not None:
        yield moment


def _name_task(watched: Watched) -> str:
    """Suite and task, with the numbers that fix it."""
    split = "" if watched.split == "test" else f"{watched.split} "
    return f"{watched.suite.name}: {split}task {watched.task.id}{describe_numbers(watched.task)}"


def describe_numbers(task: TaskEntry) -> str:
    """The numbers that fix a task, as far as they are few: `, velocity 0.08`."""
    found = []
    for key, value in task.parameters.items():
        values = value if isinstance(value, list | tuple) else [value]
        if len(values) <= 3 and all(isinstance(each, int | float | str) for each in values):
            told = (each if isinstance(each, str) else f"{each:.3g}" for each in values)
            found.append(f", {key} {' '.join(told)}")
    return "".join(found[:3])


def _name_stage(watched: Watched, place: int) -> str:
    supports = len(watched.starts) - 1
    if place < supports:
        return f"support {place + 1} of {supports}"
    return watched.last if supports else f"{watched.last}, no support"
