"""The histogram of a suite's card: returns per dataset, one panel under the other over the same axis, as plain SVG."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import numpy as np

from metabench.data.cards.axes import format_tick, make_axis
from metabench.envs import Array

WIDTH, LEFT, RIGHT, PANEL, GAP, TOP, BOTTOM = 720, 112, 24, 58, 22, 40, 44
"""Pixels."""

BINS = 80

BAR, MEAN, INK, FAINT = "#4c78a8", "#c44e52", "#3c3c3c", "#dddddd"


def draw_returns_svg(title: str, returns: Mapping[str, Array]) -> str:
    """A picture of `(n,)` returns of each dataset: the share of trajectories in each bin, and the mean as a line.

    All panels have the same horizontal axis; each has its own vertical one, whose end is written at its top.
    """
    everything = np.concatenate(list(returns.values()))
    axis = make_axis(everything, 6, logarithmic=False)
    edges = np.linspace(axis.low, axis.high, BINS + 1)
    height = TOP + len(returns) * (PANEL + GAP) - GAP + BOTTOM
    bottom = height - BOTTOM

    def place_x(value: float) -> float:
        return float(axis.place(value, LEFT, WIDTH - RIGHT))

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        f'role="img" font-family="Helvetica, Arial, sans-serif" font-size="12" fill="{INK}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="20" font-size="14">{escape(title)}</text>',
    ]
    for tick, text in axis.ticks:
        parts.append(f'<path d="M{place_x(tick):.1f} {TOP}V{bottom}" stroke="{FAINT}"/>')
        parts.append(
            f'<text x="{place_x(tick):.1f}" y="{bottom + 16}" text-anchor="middle">{text}</text>'
        )
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{bottom + 34}" text-anchor="middle">return of a trajectory</text>'
    )
    for place, (name, values) in enumerate(returns.items()):
        top = TOP + place * (PANEL + GAP)
        base = top + PANEL
        shares = np.histogram(values, edges)[0] / len(values)
        outline = [f"M{place_x(axis.low):.1f} {base}"]
        for stop, share in zip(edges[1:], shares, strict=True):
            outline.append(f"V{base - share / shares.max() * PANEL:.1f}H{place_x(stop):.1f}")
        mean = float(values.mean())
        side, anchor = (5, "start") if place_x(mean) < WIDTH - RIGHT - 90 else (-5, "end")
        parts += [
            f'<path d="{"".join(outline)}V{base}Z" fill="{BAR}"/>',
            f'<path d="M{LEFT} {base}H{WIDTH - RIGHT}" stroke="{INK}"/>',
            f'<path d="M{place_x(mean):.1f} {top - 4}V{base}" stroke="{MEAN}" stroke-width="1.5"/>',
            f'<text x="{place_x(mean) + side:.1f}" y="{top + 6}" text-anchor="{anchor}" fill="{MEAN}" font-size="11" '
            f'stroke="#ffffff" stroke-width="3" paint-order="stroke">mean {format_tick(round(mean, 1))}</text>',
            f'<text x="12" y="{base - 4}" font-size="13">{escape(name)}</text>',
            f'<text x="{LEFT - 6}" y="{top + 9}" text-anchor="end" font-size="10">{shares.max():.0%}</text>',
            f'<text x="{LEFT - 6}" y="{base}" text-anchor="end" font-size="10">0</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"
