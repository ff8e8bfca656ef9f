"""Writes a plugin package around a small method that works: the quickest way to an own one."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from metabench.methods.former_names import PRESENT_NAMES
from metabench.methods.registry import find_registered_methods
from metabench.system.scaffold import write_package

TEMPLATE = Path(__file__).parent / "template"

Kind = Literal["plain", "actor-critic"]

_SHARED = {
    "pyproject.toml.txt": "pyproject.toml",
    "init.py.txt": "{package}/__init__.py",
    "test_method.py.txt": "tests/test_method.py",
}
_FILES: dict[Kind, dict[str, str]] = {
    "plain": {
        **_SHARED,
        "README.md.txt": "README.md",
        "method.py.txt": "{package}/method.py",
    },
    "actor-critic": {
        **_SHARED,
        "actor_critic_README.md.txt": "README.md",
        "actor_critic.py.txt": "{package}/method.py",
    },
}


def write_plugin(name: str, folder: Path, kind: Kind = "plain") -> tuple[Path, ...]:
    """Write a package that registers the method `name` into the new or empty `folder`.

    Args:
        name: of the method.
        folder: where to write.
        kind: what it begins with: a small method of its own, or a loss for the encoder of metabench's actor-critics.

    Returns:
        The files, in the order written.

    Raises:
        MetabenchError: `name` is not a possible name, is taken by an installed method or package or by Python itself,
            or `folder` is not empty.
    """
    registered = find_registered_methods().get(name)
    taken_by = None if registered is None else registered.origin
    if name in PRESENT_NAMES:
        taken_by = f"archived records of {PRESENT_NAMES[name]!r}"
    return write_package("method", name, folder, TEMPLATE, _FILES[kind], taken_by)
