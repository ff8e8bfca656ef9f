"""Axes of plots, in cards and reports: where values lie in pixels, and which round numbers are written beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metabench.envs import Array

MINUS = "\u2212"

DECADES = 1.5
"""Positive values that span more of them get a logarithmic axis."""

LARGEST = 1e300
"""Axes end there, and differences below its inverse are none: beyond, arithmetic overflows."""


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        low, high: its ends, as `values` of the plot.
        ticks: values that are written, and as what.
        logarithmic: equal factors are equally far apart.
    """

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    logarithmic: bool = False

    def place(self, values: Array | float, start: float, stop: float) -> Array:
        """Pixels of `values`, with `low` at `start` and `high` at `stop`."""
        given = np.asarray(values, np.float64)
        low, high = self.low, self.high
        if self.logarithmic:
            low, high = math.log10(low), math.log10(high)
            with np.errstate(divide="ignore", invalid="ignore"):
                given = np.where(given > 0, np.log10(given), np.nan)
        return np.asarray(start + (given - low) / (high - low) * (stop - start))


def make_axis(
    values: Array, parts: int = 4, *, tight: bool = False, logarithmic: bool | None = None
) -> Axis:
    """An axis that holds all finite `values`.

    Args:
        values: any shape.
        parts: about so many intervals between ticks.
        tight: it ends at the smallest and largest value; otherwise at ticks.
        logarithmic: whether; None decides by the values.
    """
    finite = np.asarray(values, np.float64)
    finite = finite[np.isfinite(finite)].clip(-LARGEST, LARGEST)
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    if logarithmic is None:
        logarithmic = low > 0 and math.log10(high) - math.log10(low) > DECADES
    if logarithmic and low > 0:  # asked for or not, zero and negative values have no logarithm
        return _make_logarithmic_axis(max(low, 1 / LARGEST), high)
    # As good as one value: an axis around it, since arithmetic on the difference would be noise.
    if high - low <= max(1e-9 * max(abs(low), abs(high)), 1 / LARGEST):
        spread = max(abs(high) * 0.5, 1e-3)
        low, high = low - spread, high + spread
    rough = (high - low) / parts
    power = 10.0 ** math.floor(math.log10(rough))
    # The next round number; a little less than `rough` will do, which may be 0.1 + 0.2 where 0.3 is meant.
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    whole = bool((finite == finite.round()).all())
    if whole and tight:  # numbers of updates or shots: no ticks between them
        step = max(step, 1.0)
    # Ends that miss a multiple of the step by rounding alone count as that multiple.
    first, last = math.floor(low / step + 1e-6), math.ceil(high / step - 1e-6)
    places = [
        float(f"{place * step:.12g}") for place in range(first, last + 1)
    ]  # 0.3, not 0.30000000000000004
    if tight:
        places = [place for place in places if low - step * 1e-6 <= place <= high + step * 1e-6]
    else:
        low, high = places[0], places[-1]
    return Axis(low, high, tuple((place, format_tick(place)) for place in places))


def make_ordinal_axis(values: Sequence[float]) -> Axis:
    """An axis on which these few, ascending values are equally far apart: see `rank_values`."""
    ticks = tuple((float(place), format_tick(value)) for place, value in enumerate(values))
    return Axis(0.0, max(1.0, len(values) - 1.0), ticks)


def rank_values(values: Sequence[float], among: Sequence[float]) -> Array:
    """Where `values` lie on `make_ordinal_axis(among)`."""
    return np.array([among.index(value) for value in values], np.float64)


def _make_logarithmic_axis(low: float, high: float) -> Axis:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    last = max(last, first + 1)  # one decade at least, or the axis would have no length
    every = max(1, math.ceil((last - first) / 5))
    ticks = tuple((10.0**place, _format_power(place)) for place in range(first, last + 1, every))
    return Axis(10.0**first, 10.0**last, ticks, logarithmic=True)


def _format_power(exponent: int) -> str:
    return format_tick(10.0**exponent) if -4 <= exponent <= 4 else put_minus(f"1e{exponent}")


def format_tick(value: float) -> str:
    """A round number as short as it can be: what stands beside an axis."""
    if abs(value) < 1e4:
        text = f"{value:g}"
    elif abs(value) < 1e9:
        text = f"{value:,.0f}"
    else:
        text = f"{value:.3g}"
    return put_minus(text)


def put_minus(text: str) -> str:
    """Python's text of a number with a true minus sign, and an exponent without plus and leading zeros."""
    mantissa, exponent, power = text.partition("e")
    return (mantissa + (f"e{int(power)}" if exponent else "")).replace("-", MINUS)
