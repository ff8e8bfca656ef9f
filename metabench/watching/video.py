"""Frames into files: MP4 through PyAV, which an extra installs, and GIF through Pillow."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from metabench.envs import Array
from metabench.errors import MetabenchError
from metabench.system.extras import require
from metabench.system.writing import write_whole
from metabench.watching.clip import Clip
from metabench.watching.frame import WRITTEN

COLOURS = 64
"""Of a GIF: drawings need few."""

QUALITY = "23"
"""Of H.264, as x264 counts: the smaller the better; 23 is its own choice."""

SUFFIXES = (".mp4", ".gif")


def check_output(path: Path) -> None:
    """Check before anything acts that a file of this name can be written.

    Raises:
        MetabenchError: its suffix is neither `.mp4` nor `.gif`, or MP4 needs a package that is not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise MetabenchError(f"{path}: expected a name that ends in .mp4 or .gif")
    if path.is_dir():
        raise MetabenchError(f"{path}: is a folder; expected a file to write")
    if suffix == ".mp4":
        require("av", "video", "an MP4 file (a GIF needs none)")


def write_clip(clip: Clip, path: Path) -> int:
    """Write the clip as what the suffix of `path` says; returns how many frames it has.

    Raises:
        MetabenchError: as of `check_output`.
    """
    check_output(path)
    counted = _Counted(clip.frames())
    encode = encode_mp4 if path.suffix.lower() == ".mp4" else encode_gif
    write_whole(path, encode(counted, clip.pace.fps))
    return counted.count


class _Counted:
    def __init__(self, frames: Iterator[Array]) -> None:
        self._frames, self.count = frames, 0

    def __iter__(self) -> Iterator[Array]:
        for frame in self._frames:
            self.count += 1
            yield frame


def encode_mp4(frames: Iterable[Array], fps: float) -> bytes:
    """H.264 in yuv420p, which every browser plays, the index in front so that it begins at once.

    Args:
        frames: `(height, width, 3)` uint8, all of one even size.
        fps: frames a second.
    """
    require("av", "video", "an MP4 file (a GIF needs none)")
    import av

    # The index is moved to the front by reading what was written: that takes a file.
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "clip.mp4"
        with av.open(str(target), "w", options={"movflags": "+faststart"}) as container:
            stream: Any = None
            for pixels in frames:
                if stream is None:
                    rate = Fraction(fps).limit_denominator(1000)
                    stream = container.add_stream("libx264", rate=rate)
                    stream.height, stream.width = pixels.shape[:2]
                    stream.pix_fmt = "yuv420p"
                    stream.options = {"crf": QUALITY, "preset": "veryfast"}
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            if stream is not None:
                container.mux(stream.encode())
        return target.read_bytes()


def encode_gif(frames: Iterable[Array], fps: float, colours: int = COLOURS) -> bytes:
    """An endless GIF; all frames share the colours of the first and of titles: what stands still does not flicker.

    Args:
        frames: `(height, width, 3)` uint8, all of one size.
        fps: frames a second; GIFs count in hundredths of a second.
        colours: at most 256.
    """
    from PIL import Image

    palette: Any = None
    pictures = []
    for pixels in frames:
        image = Image.fromarray(pixels)
        if palette is None:
            found = colours - len(WRITTEN)
            palette = image.quantize(found, method=Image.Quantize.MEDIANCUT)
            known = (palette.getpalette() or [])[: 3 * found]
            palette.putpalette([*known, *(part for colour in WRITTEN for part in colour)])
        pictures.append(image.quantize(palette=palette, dither=Image.Dither.NONE))
    target = io.BytesIO()
    pictures[0].save(
        target,
        format="GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=10 * max(2, round(100 / fps)),
        loop=0,
        optimize=False,
        disposal=1,
    )
    return target.getvalue()
