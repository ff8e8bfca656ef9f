"""Values as records can hold them: NumPy's and torch's own kinds of numbers become plain ones."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any

from metabench.errors import MetabenchError

NAMED_NUMBERS: Mapping[str, float] = {
    "NaN": math.nan,
    "Infinity": math.inf,
    "-Infinity": -math.inf,
}
"""Numbers that JSON does not have; records hold their names, which `float` reads."""


def make_plain(value: Any, where: str) -> Any:
    """`value` of plain numbers, texts, lists and mappings: NumPy's and torch's scalars, arrays and devices turned.

    Args:
        value: nested in any way.
        where: what the error calls it.

    Raises:
        MetabenchError: a record cannot hold it; names the place in it.
    """
    if isinstance(value, Enum):
        return make_plain(value.value, where)
    if value is None or isinstance(value, bool | str):
        return str.__str__(value) if isinstance(value, str) else value
    numpy: Any = sys.modules.get("numpy")  # not imported for this: the registry goes without
    if numpy is not None and isinstance(value, numpy.generic | numpy.ndarray):
        return make_plain(value.tolist(), where)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return {
            _make_plain_key(key, where): make_plain(item, f"{where}.{key}")
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset | range):
        items = sorted(value) if isinstance(value, set | frozenset) else value
        return [make_plain(item, f"{where}.{place}") for place, item in enumerate(items)]
    torch: Any = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return make_plain(value.detach().cpu().tolist(), where)
    if torch is not None and isinstance(value, torch.device | torch.dtype):
        return str(value)
    raise MetabenchError(
        f"{where}: a record cannot hold {type(value).__name__}; expected numbers, texts, lists and mappings"
    )


def name_numbers(value: Any) -> Any:
    """`value` of `make_plain` with NaN and infinities by their names, so that JSON can hold them."""
    if isinstance(value, float) and not math.isfinite(value):
        return next(
            name
            for name, number in NAMED_NUMBERS.items()
            if value == number or (math.isnan(value) and math.isnan(number))
        )
    if isinstance(value, dict):
        return {key: name_numbers(item) for key, item in value.items()}
    return [name_numbers(item) for item in value] if isinstance(value, list) else value


def read_number(value: Any) -> float | None:
    """The number that a record holds, by itself or by its name; None if `value` is none."""
    if isinstance(value, str):
        return NAMED_NUMBERS.get(value)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:  # a whole number beyond all measure
        return math.nan


def _make_plain_key(key: Any, where: str) -> str:
    if hasattr(key, "item"):  # NumPy's kinds of numbers and texts
        key = key.item()
    if not isinstance(key, str | int | float) or isinstance(key, bool):
        raise MetabenchError(
            f"{where}: a record cannot hold the key {key!r:.60}; expected texts or numbers as keys"
        )
    return str(key)
