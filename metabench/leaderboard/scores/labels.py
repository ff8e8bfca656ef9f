"""Short names of configured methods, for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_LONGEST_DETAIL = 60


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
