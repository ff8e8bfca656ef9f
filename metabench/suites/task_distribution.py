"""The law that a suite's tasks were drawn by, in numbers: fresh tasks come from it, published ones are listed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Self

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from metabench.system.strict_model import StrictModel

MOST_DRAWN = 10_000
"""How often numbers that must lie apart are drawn."""


class Apart(StrictModel):
    """Two points within a list of numbers that are drawn again while they are too close together."""

    first: tuple[int, ...] = Field(
        min_length=1, description="positions of the first point's coordinates"
    )
    second: tuple[int, ...] = Field(
        min_length=1, description="positions of the second point's coordinates"
    )
    least: float = Field(gt=0, description="least Euclidean distance")


class Law(StrictModel):
    """The law of one parameter: exactly one of `uniform`, `log_uniform`, `circle` and `choice`."""

    uniform: tuple[float | tuple[float, ...], float | tuple[float, ...]] | None = Field(
        default=None,
        description="lowest and highest: two numbers, or two lists, one number a coordinate",
    )
    log_uniform: tuple[float, float] | None = Field(
        default=None, description="lowest and highest, above zero: the logarithm is uniform"
    )
    circle: float | None = Field(
        default=None, gt=0, description="radius: a point of the plane around the origin"
    )
    choice: tuple[Any, ...] | None = Field(
        default=None, min_length=1, description="values, equally likely"
    )
    shape: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(), description="shape of independent numbers, as nested lists"
    )
    times: tuple[str, ...] = Field(
        default=(), description="parameters, drawn earlier, that multiply the number"
    )
    either_sign: bool = Field(default=False, description="negative with probability one half")
    whole: bool = Field(default=False, description="whole numbers, both ends included")
    apart: Apart | None = Field(default=None, description="points that lie apart")

    @model_validator(mode="after")
    def _check_law(self) -> Self:
        laws = ("uniform", "log_uniform", "circle", "choice")
        given = [name for name in laws if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"expected exactly one of {', '.join(laws)}, found {', '.join(given) or 'none'}"
            )
        numbers = given[0] in ("uniform", "log_uniform")
        if (self.shape or self.times or self.either_sign) and not numbers:
            raise ValueError(
                f"shape, times and either_sign go with uniform and log_uniform, not with {given[0]}"
            )
        low, high = self._make_bounds()
        if self.whole and (self.uniform is None or self.times or self.either_sign):
            raise ValueError("whole goes with uniform, without times and either_sign")
        if self.whole and (np.rint((low, high)) != (low, high)).any():
            raise ValueError("whole: expected a whole lowest and highest")
        if low.shape != high.shape or (low > high).any():
            raise ValueError("expected the lowest before the highest, as many of each")
        if low.ndim and self.shape:
            raise ValueError("shape goes with two numbers, not with two lists")
        if self.times and (low.ndim or self.shape):
            raise ValueError("times goes with a single number")
        if self.log_uniform is not None and self.log_uniform[0] <= 0:
            raise ValueError("log_uniform: expected numbers above zero")
        if self.apart is not None:
            positions = (*self.apart.first, *self.apart.second)
            if not low.ndim or not all(0 <= position < len(low) for position in positions):
                raise ValueError("apart: expected positions in the two lists of uniform")
            if len(self.apart.first) != len(self.apart.second):
                raise ValueError("apart: expected as many positions in first as in second")
        return self

    def draw(self, generator: np.random.Generator, drawn: Mapping[str, Any]) -> Any:
        """A value, as suite.toml would hold it.

        Args:
            generator: the only randomness.
            drawn: parameters of the task that were drawn before.

        Raises:
            ValueError: numbers that must lie apart never did.
        """
        if self.choice is not None:
            return self.choice[int(generator.integers(len(self.choice)))]
        if self.circle is not None:
            angle = generator.uniform(0.0, 2.0 * math.pi)
            return [self.circle * math.cos(angle), self.circle * math.sin(angle)]
        values = self._draw_numbers(generator)
        if self.apart is not None:
            tries = 1
            while self._measure_distance(values, self.apart) < self.apart.least:
                if tries == MOST_DRAWN:
                    raise ValueError(
                        f"apart: {MOST_DRAWN} draws were all closer together than {self.apart.least:g}"
                    )
                values, tries = self._draw_numbers(generator), tries + 1
        for name in self.times:
            values = values * float(drawn[name])
        return values.tolist()

    def move(self, value: Any, share: float, factor: float, generator: np.random.Generator) -> Any:
        """A value near `value`; values of `choice` stay, and so does a sign.

        What was drawn by the law and is moved is of the law again: a move beyond a bound is reflected there. Were it
        drawn towards the middle instead, copies would be easier or harder as a whole.

        Args:
            value: as suite.toml holds it.
            share: at most this share of the law's width either way (of its logarithm's for `log_uniform`, of half the
                circle for `circle`), 0 to 1.
            factor: what `times` multiplied `value` by.
            generator: the only randomness.

        Raises:
            ValueError: numbers that must lie apart never did.
        """
        if self.choice is not None:
            return value
        if self.circle is not None:
            angle = math.atan2(value[1], value[0])
            way = generator.uniform(-math.pi, math.pi)
            return [self.circle * turn(angle + share * way) for turn in (math.cos, math.sin)]
        start = np.asarray(value, np.float64) / factor
        moved = self._move_numbers(start, share, generator)
        tries = 1
        while (
            self.apart is not None and self._measure_distance(moved, self.apart) < self.apart.least
        ):
            if tries == MOST_DRAWN:
                raise ValueError(
                    f"apart: {MOST_DRAWN} moves all led closer together than {self.apart.least:g}"
                )
            moved, tries = self._move_numbers(start, share, generator), tries + 1
        return moved.tolist()

    def _move_numbers(self, start: Any, share: float, generator: np.random.Generator) -> Any:
        low, high = self._make_bounds()
        room = 0.5 if self.whole else 0.0  # each whole number stands for all that round to it
        low, high = low - room, high + room
        signed = self.either_sign or self.log_uniform is not None
        sign, place = (np.sign(start), np.abs(start)) if signed else (1.0, start)
        if self.log_uniform is not None:
            low, high, place = np.log(low), np.log(high), np.log(place)
        moved = place + share * (high - low) * generator.uniform(-1.0, 1.0, np.shape(place))
        moved = high - np.abs(high - (low + np.abs(moved - low)))
        if self.whole:
            return np.clip(np.rint(moved), low + room, high - room).astype(np.int64)
        return sign * (np.exp(moved) if self.log_uniform is not None else moved)

    def _make_bounds(self) -> tuple[Any, Any]:
        low, high = self.uniform or self.log_uniform or (0.0, 0.0)
        return np.array(low, np.float64), np.array(high, np.float64)

    def _draw_numbers(self, generator: np.random.Generator) -> Any:
        low, high = self._make_bounds()
        shape = self.shape or low.shape
        if self.log_uniform is not None:
            values = np.exp(generator.uniform(np.log(low), np.log(high), shape))
        elif self.whole:
            return generator.integers(
                low.astype(np.int64), high.astype(np.int64), shape, endpoint=True
            )
        else:
            values = generator.uniform(low, high, shape)
        values = np.clip(values, low, high)  # the last bit of an exponential
        return (
            values * generator.choice((-1.0, 1.0), shape)
            if self.either_sign
            else np.asarray(values)
        )

    def _measure_distance(self, values: Any, apart: Apart) -> float:
        return float(np.linalg.norm(values[list(apart.first)] - values[list(apart.second)]))


def _wrap_single(content: Any) -> Any:
    return [content] if isinstance(content, dict) else content


Alternatives = Annotated[
    tuple[dict[str, Law], ...], BeforeValidator(_wrap_single), Field(min_length=1)
]
"""The laws of all parameters, in the order of drawing; a list of such tables takes turns."""


def check_order(alternatives: tuple[dict[str, Law], ...]) -> None:
    """Raise `ValueError` if a parameter is multiplied by one that is not drawn before it."""
    for laws in alternatives:
        before: list[str] = []
        for name, law in laws.items():
            for factor in law.times:
                if factor not in before:
                    raise ValueError(
                        f"{name}.times: expected parameters drawn before it, found {factor!r}"
                    )
            before.append(name)


def draw_task(
    alternatives: tuple[dict[str, Law], ...], turn: int, generator: np.random.Generator
) -> dict[str, Any]:
    """The parameters of a fresh task.

    Args:
        alternatives: what suite.toml states for a split.
        turn: which draw this is, from 0: alternatives take turns.
        generator: the only randomness.

    Raises:
        ValueError: numbers that must lie apart never did.
    """
    drawn: dict[str, Any] = {}
    for name, law in alternatives[turn % len(alternatives)].items():
        drawn[name] = law.draw(generator, drawn)
    return drawn


def move_task(
    alternatives: tuple[dict[str, Law], ...],
    parameters: Mapping[str, Any],
    share: float,
    generator: np.random.Generator,
) -> dict[str, Any]:
    """The parameters of a task near another, within the law.

    Of several alternatives the one that moves it least is taken: ranges may lie apart, and the task came from one.

    Args:
        alternatives: what suite.toml states for the task's split.
        parameters: the task's.
        share: of each law's width, see `Law.move`.
        generator: the only randomness.

    Raises:
        ValueError: no alternative has such a task, or numbers that must lie apart never did.
    """
    moved = [
        _move_by(laws, parameters, share, generator)
        for laws in alternatives
        if _fits(laws, parameters)
    ]
    if not moved:
        raise ValueError(f"no alternative has a task with {', '.join(parameters)} as given")
    return min(moved, key=lambda each: _measure_move(parameters, each))


def _fits(laws: Mapping[str, Law], parameters: Mapping[str, Any]) -> bool:
    return all(
        name in parameters and (law.choice is None or parameters[name] in law.choice)
        for name, law in laws.items()
    )


def _move_by(
    laws: Mapping[str, Law],
    parameters: Mapping[str, Any],
    share: float,
    generator: np.random.Generator,
) -> dict[str, Any]:
    moved = dict(parameters)
    for name, law in laws.items():
        before = math.prod(float(parameters[factor]) for factor in law.times)
        value = law.move(parameters[name], share, before, generator)
        after = math.prod(float(moved[factor]) for factor in law.times)
        moved[name] = value * after if law.times else value
    return moved


def _measure_move(parameters: Mapping[str, Any], moved: Mapping[str, Any]) -> float:
    """Sum of the changes of all numbers."""
    return sum(
        float(np.abs(np.asarray(moved[name]) - np.asarray(value)).sum())
        for name, value in parameters.items()
        if not isinstance(value, str) and moved[name] is not value
    )
