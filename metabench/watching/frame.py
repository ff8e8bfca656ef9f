"""One frame of a clip: titles above, the policy's lane and the teacher's side by side, a line of progress below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from metabench.envs import Array
from metabench.envs.scene import Colour
from metabench.envs.scene_painter import FAINT, INK, WANTED
from metabench.watching.replay import Moment

PAPER, SUPPORT, TEACHER = (255, 255, 255), (130, 130, 130), (160, 95, 20)
"""Behind the titles; of support episodes; of the teacher's name."""

WRITTEN = (PAPER, SUPPORT, TEACHER, INK, WANTED, FAINT)
"""All colours of titles and of the line of progress, not all of which are in the first frame."""

GAP, BAR = 4, 6
"""Pixels between the two lanes, and of the line of progress."""


@dataclass(frozen=True)
class Title:
    """What stands above both lanes.

    Attributes:
        left: suite and task.
        stage: `support 1 of 3` or `scored`.
        scored: whether it is.
    """

    left: str
    stage: str
    scored: bool


@dataclass(frozen=True)
class Panel:
    """One lane with its name.

    Attributes:
        name: who acts.
        moment: what it looks like.
        marked: it is the teacher, which is told the task.
    """

    name: str
    moment: Moment
    marked: bool = False


class FramePainter:
    """Puts frames of one clip together; all have the same size, in even numbers as video wants them."""

    def __init__(self, width: int, height: int, panels: int) -> None:
        """Lay out `panels` lanes of `width` x `height` pixels."""
        self._width, self._height = width, height
        self._small = max(9, min(13, round(width / 26)))
        self._large = self._small + 1
        self._line = self._large + 7
        wide = panels * width + (panels - 1) * GAP
        high = 2 * self._line + height + BAR
        self.size = wide + wide % 2, high + high % 2

    def paint(self, title: Title, panels: Sequence[Panel], done: Sequence[float]) -> Array:
        """One frame, `(height, width, 3)` uint8.

        Args:
            title: what stands above.
            panels: the lanes, from left to right.
            done: how much of each episode of the clip is over, 0 to 1; the last one is scored.
        """
        from PIL import Image, ImageDraw

        image = Image.new("RGB", self.size, PAPER)
        draw = ImageDraw.Draw(image)
        wide = self.size[0]
        colour = WANTED if title.scored else SUPPORT
        left = self._write(draw, wide - 6, self._line / 2, title.stage, self._large, colour, "rm")
        self._write(draw, 6, self._line / 2, title.left, self._large, INK, "lm", wide - 18 - left)
        top = 2 * self._line
        for place, panel in enumerate(panels):
            start = place * (self._width + GAP)
            image.paste(Image.fromarray(panel.moment.picture), (start, top))
            if place:
                middle = start - GAP // 2
                draw.line((middle, top, middle, top + self._height), FAINT)
            self._write_panel(draw, start, self._line * 1.5, panel)
        self._draw_progress(draw, done)
        return np.asarray(image)

    def _write_panel(self, draw: Any, start: int, middle: float, panel: Panel) -> None:
        moment = panel.moment
        told = f"step {moment.step}" + (", end" if moment.ended else "")
        numbers = f"{told}   return {moment.total_return:.2f}"
        end = start + self._width - 6
        used = self._write(draw, end, middle, numbers, self._small, INK, "rm")
        colour = TEACHER if panel.marked else WANTED
        room = self._width - 18 - used
        self._write(draw, start + 6, middle, panel.name, self._small, colour, "lm", room)

    def _draw_progress(self, draw: Any, done: Sequence[float]) -> None:
        wide, high = self.size
        each = wide / len(done)
        for place, share in enumerate(done):
            left, right = place * each + (2 if place else 0), (place + 1) * each
            top = high - BAR + 2
            draw.rectangle((left, top, right - 1, high), FAINT)
            colour = WANTED if place == len(done) - 1 else SUPPORT
            if share > 0:
                draw.rectangle((left, top, left + share * (right - left) - 1, high), colour)

    def _write(
        self,
        draw: Any,
        x: float,
        y: float,
        text: str,
        size: int,
        colour: Colour,
        anchor: str,
        room: float | None = None,
    ) -> float:
        """Write one line, cut to `room` pixels if it is given; returns its width."""
        from PIL import ImageFont

        font = ImageFont.load_default(size)
        if room is not None and font.getlength(text) > room:
            while text and font.getlength(f"{text}...") > room:
                text = text[:-1]
            text = f"{text.rstrip()}..." if text else ""
        draw.text((x, y), text, colour, font, anchor)
        return float(font.getlength(text))
