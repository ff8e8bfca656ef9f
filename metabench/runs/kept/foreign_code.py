"""What a record says of code that does not come with metabench: its version, revision and what it imports."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Literal, TypeAlias

from metabench.errors import MethodError
from metabench.runs.kept.provenance import git_state
from metabench.runs.kept.record import Cell, ForeignCode
from metabench.suites import Suite
from metabench.system.source_code import OWN_PACKAGES, digest_sources, list_imports

Role: TypeAlias = Literal["method", "suite"]


def find_foreign_code(cell: Cell, method: Sequence[Path], suite: Suite) -> tuple[ForeignCode, ...]:
    """What a cell's record says of code that does not come with metabench.

    Args:
        cell: the cell.
        method: where its method's code lies; empty if that comes with metabench.
        suite: its suite.

    Raises:
        MethodError: it is not the code that the cell was planned with.
    """
    found = []
    parts: tuple[tuple[Role, Sequence[Path], str | None], ...] = (
        ("method", method, cell.method_code),
        ("suite", suite.sources, cell.suite_code),
    )
    for role, places, expected in parts:
        digest = digest_sources(places)
        if digest != expected:
            raise MethodError(
                f"the code of {role} {getattr(cell, role)!r} changed after the cell was planned; run the same command "
                "again"
            )
        if digest is not None:
            found.append(describe_foreign_code(role, places, digest))
    return tuple(found)


def describe_foreign_code(role: Role, places: Sequence[Path], digest: str) -> ForeignCode:
    """What there is to say of the code in `places`, of which the first is the method's or suite's own."""
    first, known = places[0], packages_distributions()
    distribution = known.get(first.stem if first.is_file() else first.name, [None])[0]
    revision, dirty = git_state(_find_checkout(first))
    imported = {name for place in places for name in list_imports(place)}
    own = {place.stem if place.is_file() else place.name for place in places}
    needed = {
        name
        for package in imported - own - OWN_PACKAGES - sys.stdlib_module_names
        for name in known.get(package, ())
    }
    return ForeignCode(
        role=role,
        name=distribution or first.name,
        version=_find_version(distribution),
        digest=digest,
        git_revision=revision,
        git_dirty=dirty,
        dependencies={
            name: found for name in sorted(needed) if (found := _find_version(name)) is not None
        },
    )


def _find_checkout(place: Path) -> Path:
    """The folder of the checkout that a place lies in; a folder without one where there is none."""
    return next((folder for folder in place.parents if (folder / ".git").exists()), place.parent)


def _find_version(distribution: str | None) -> str | None:
    try:
        return None if distribution is None else version(distribution)
    except PackageNotFoundError:
        return None
