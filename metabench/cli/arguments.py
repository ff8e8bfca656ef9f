"""Reading what users type: lists of names, seeds, configuration values, shots."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from metabench.errors import MetabenchError


def read_names(values: Iterable[str], what: str) -> list[str]:
    """Names given as several values or with commas, each once, in order: `["a,b", "c"]` are a, b, c.

    Args:
        values: what was typed.
        what: the option, for the message.

    Raises:
        MetabenchError: a name is empty: perhaps a variable of the shell was not set.
    """
    names: dict[str, None] = {}
    for value in values:
        for name in value.split(","):
            if not name.strip():
                raise MetabenchError(f"{what}: expected names, found an empty one in {value!r}")
            names[name.strip()] = None
    return list(names)


MOST_SEEDS = 10_000


def read_seeds(value: str) -> tuple[int, ...]:
    """A number of seeds (`5` is 0 to 4) or an explicit list (`0,3,4`; `3,` is seed 3 alone).

    Raises:
        MetabenchError: it is neither.
    """
    try:
        numbers = [int(part) for part in value.split(",") if part.strip()]
    except ValueError:
        numbers = []
    if "," not in value and numbers and 0 < numbers[0] <= MOST_SEEDS:
        return tuple(range(numbers[0]))
    if "," in value and numbers and min(numbers) >= 0:
        return tuple(dict.fromkeys(numbers))
    raise MetabenchError(
        f"--seeds: expected a number of seeds (5, at most {MOST_SEEDS}) or a list of seeds (0,3,4), found {value!r}"
    )


def read_overrides(values: Iterable[str], option: str = "--set") -> dict[str, Any]:
    """Configuration keys and values: `key=value`, the value JSON or else a string; `option` is for the message.

    Raises:
        MetabenchError: a value has no key, or a key is given twice.
    """
    overrides: dict[str, Any] = {}
    for value in values:
        key, equals, text = value.partition("=")
        key = key.strip()
        if not equals or not key:
            raise MetabenchError(f"{option}: expected key=value, found {value!r}")
        if key in overrides:
            raise MetabenchError(f"{option}: key {key!r} is given twice")
        try:
            overrides[key] = json.loads(text)
        except ValueError:
            overrides[key] = text
    return overrides


def read_options(values: Sequence[str]) -> dict[str, Any]:
    """Options that are a configuration's keys: `--imagined-steps 500` or `--imagined-steps=500`; values as above.

    Raises:
        MetabenchError: an option has no value, a value has no option, or an option is given twice.
    """
    pairs: list[str] = []
    rest = list(values)
    while rest:
        option, equals, value = rest.pop(0).partition("=")
        if not option.startswith("--"):
            raise MetabenchError(f"expected an option (--key value), found {option!r}")
        if not equals:
            if not rest or rest[0].startswith("--"):
                raise MetabenchError(f"{option}: expected a value after it")
            value = rest.pop(0)
        pairs.append(f"{option[2:].replace('-', '_')}={value}")
    return read_overrides(pairs)


def read_shots(value: str | None) -> tuple[int, ...] | None:
    """Shot counts with commas (`1,3,5`); None stays None.

    Raises:
        MetabenchError: a count is not a whole number.
    """
    if value is None:
        return None
    try:
        return tuple(int(part) for part in value.split(","))
    except ValueError as error:
        raise MetabenchError(f"--shots: expected whole numbers (1,3,5), found {value!r}") from error


def read_size(value: str, option: str) -> tuple[int, int]:
    """Width and height in pixels: `320x240`.

    Raises:
        MetabenchError: it is not two whole numbers.
    """
    parts = value.lower().split("x")
    if len(parts) != 2 or not all(part.isdecimal() for part in parts):
        raise MetabenchError(f"{option}: expected width and height (320x240), found {value!r}")
    return int(parts[0]), int(parts[1])
