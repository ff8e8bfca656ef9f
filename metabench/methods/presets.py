"""The names of budgets, in the order of what they cost."""

from __future__ import annotations

from collections.abc import Container

from metabench.errors import MetabenchError, UnknownNameError

PRESETS = ("tiny", "demo", "cpu", "long", "paper")
"""Seconds; a first look; 15 minutes a cell on 2 cores; 2 hours alone there; as published, one GPU."""


def check_preset(method: str, preset: str, presets: Container[str]) -> None:
    """Raise an error unless `method` has `preset` among its `presets`: it names the nearest budget that it has.

    Raises:
        UnknownNameError: no preset has this name.
        MetabenchError: other methods have it, this one has not.
    """
    if preset in presets:
        return
    own = [name for name in PRESETS if name in presets]
    if preset not in PRESETS or not own:
        raise UnknownNameError(f"preset of method {method}", preset, own)
    place = PRESETS.index(preset)
    below = [name for name in own if PRESETS.index(name) < place]
    nearest = below[-1] if below else own[0]
    raise MetabenchError(
        f"method {method} has no preset {preset!r}; the nearest is {nearest!r} (of {', '.join(own)})"
    )
