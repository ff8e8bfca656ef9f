"""What all plots share: size and margins, the frame, straight lines, pixels as an image."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np

from metabench.envs import Array
from metabench.report.drawing.html import node


@dataclass(frozen=True)
class Canvas:
    """Size of a plot in pixels, and of the margins around its middle."""

    width: int = 360
    height: int = 200
    left: int = 52
    right: int = 14
    top: int = 12
    bottom: int = 34


SMALL, LARGE = Canvas(), Canvas(width=740, height=300)


def make_frame(canvas: Canvas, label: str) -> dict[str, str]:
    """Attributes of a plot's `svg`; `label` says what it shows, for those who do not see it."""
    return {
        "class": "chart",
        "viewBox": f"0 0 {canvas.width} {canvas.height}",
        "role": "img",
        "aria-label": label,
    }


def draw_rule(
    name: str, x: tuple[float | str, float | str], y: tuple[float | str, float | str]
) -> Element:
    """A straight line of class `name` between two points."""
    return node("line", {"class": name, "x1": x[0], "x2": x[1], "y1": y[0], "y2": y[1]})


def format_pixels(value: float) -> str:
    """A place to a tenth of a pixel."""
    return f"{value:.1f}"


def encode_png(pixels: Array) -> str:
    """`(height, width)` grey, or with a last axis of 3 or 4 colours, uint8, as an address that holds the image."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
