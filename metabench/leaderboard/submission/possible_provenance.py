"""What a record says of how it came about, held to what can be shown: exports and pages take it as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from metabench.runs.kept.provenance import LONGEST_TEXT
from metabench.runs.kept.record import Provenance

_REVISION = re.compile(r"[0-9a-f]{7,64}")


def check_provenance(provenance: Provenance) -> Iterator[str]:
    """Whether what it says is short enough to be shown, and a revision is one."""
    for name, text in _list_texts(provenance.model_dump(mode="json")):
        if len(text) > LONGEST_TEXT:
            yield f"provenance{name}: expected at most {LONGEST_TEXT} characters, found {len(text)}"
        elif name.endswith("git_revision") and not _REVISION.fullmatch(text):
            yield f"provenance{name}: expected the hash of a revision, found {text!r:.60}"


def _list_texts(content: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """All texts of JSON content with their places, keys included."""
    if isinstance(content, str):
        yield name, content
    elif isinstance(content, dict):
        for key, value in content.items():
            yield f"{name}: a key", key
            yield from _list_texts(value, f"{name}.{key:.60}")
    elif isinstance(content, list):
        for place, value in enumerate(content):
            yield from _list_texts(value, f"{name}.{place}")
