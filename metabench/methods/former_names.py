"""Names that methods had until protocol 2: archived records keep them, and nothing runs under them any more."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from metabench.errors import MetabenchError

PRESENT_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "oswm": "oswm-plus",
        "oswm-meta": "oswm-plus-meta",
        "oswm-faithful": "oswm-published",
        "oswm-faithful-small": "oswm-published-small",
        "twm": "twm-plus",
    }
)
"""What each of them is called now."""

_AS_PUBLISHED = ("-published", "-published-small")


def refuse_former_name(name: str, registered: Collection[str]) -> None:
    """Raise `MetabenchError` if a method was called `name` once; it names what to use, as far as that is registered.

    Args:
        name: a method's name, without variant.
        registered: the names of all installed methods.
    """
    if name not in PRESENT_NAMES:
        return
    published = [repr(name + end) for end in _AS_PUBLISHED if name + end in registered]
    raise MetabenchError(
        f"method {name!r} is called {PRESENT_NAMES[name]!r} now"
        + (f"; as published it is {' or '.join(published)}" if published else "")
    )
