"""A clip small enough to stand inside a page: few frames, few colours."""

from __future__ import annotations

from metabench.watching.acting import Watched
from metabench.watching.clip import make_clip
from metabench.watching.video import encode_gif

WIDTH, HEIGHT = 240, 180
"""Pixels of a lane."""

FPS, COLOURS = 10.0, 32

SECONDS = (8.0, 4.0, 2.0)
"""How long it may last: the next one where the one before takes too many bytes."""

MOST = 600_000
"""Bytes."""


def make_small_gif(watched: Watched, most: int = MOST) -> bytes | None:
    """The clip as a GIF of at most so many bytes; None if even the shortest takes more.

    Raises:
        MetabenchError: the simulator shows nothing.
    """
    for longest in SECONDS:
        clip = make_clip(watched, width=WIDTH, height=HEIGHT, fps=FPS, longest=longest)
        content = encode_gif(clip.frames(), FPS, COLOURS)
        if len(content) <= most:
            return content
    return None
