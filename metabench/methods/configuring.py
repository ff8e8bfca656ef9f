"""Configurations: a preset with keys changed, which keys those are, and how people call it then."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from metabench.errors import MetabenchError, UnknownNameError, key_and_problem
from metabench.methods.presets import check_preset
from metabench.system.plain_values import make_plain

if TYPE_CHECKING:
    from metabench.methods.contract import Config, Method

_LONGEST_DETAIL = 60


def find_overrides(method: Method, preset: str, suite: str) -> dict[str, Any]:
    """The configuration keys of `method` that differ from its `preset` for `suite`, with their values as JSON."""
    presets = type(method).presets(suite)
    check_preset(method.name, preset, presets)
    usual = presets[preset].model_dump(mode="json")
    return {
        key: value
        for key, value in method.config.model_dump(mode="json").items()
        if value != usual[key]
    }


def configure(name: str, preset: Config, changes: Mapping[str, Any]) -> Config:
    """`preset` of the method `name` with some keys changed; raises `UnknownNameError` or `MetabenchError`."""
    from pydantic import ValidationError

    keys = type(preset).model_fields
    for key in changes:
        if key not in keys:
            raise UnknownNameError(f"configuration key of method {name}", key, keys)
    if not changes:
        return preset
    changes = {key: make_plain(value, f"method {name!r}: {key}") for key, value in changes.items()}
    try:  # validated anew: `model_copy(update=...)` would take any value
        return type(preset).model_validate({**preset.model_dump(), **changes})
    except ValidationError as error:
        key, problem = key_and_problem(error)
        what = f"configuration key {key!r}" if key else "configuration"
        raise MetabenchError(f"method {name!r}: {what}: {problem}") from error


def label_method(method: str, overrides: Mapping[str, Any]) -> str:
    """`meta-dt`, `meta-dt (no_context)`, `meta-dt (layers=2, no_prompt)`.

    Args:
        method: the name in records, `name` or `name/variant`. A variant speaks for its override where there is one.
        overrides: where the configuration differs from the preset.
    """
    name, _, variant = method.partition("/")
    settings = ", ".join(_format_setting(key, overrides[key]) for key in sorted(overrides))
    detail = settings
    if variant:
        detail = variant if len(overrides) <= 1 else f"{variant}: {settings}"
    if len(detail) > _LONGEST_DETAIL:
        detail = detail[: _LONGEST_DETAIL - 1] + "…"
    return f"{name} ({detail})" if detail else name


def _format_setting(key: str, value: Any) -> str:
    if value is True:
        return key
    text = (
        value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
    )
    return f"{key}={text}"
