"""Writes a plugin package around a small method that works: the quickest way to an own one."""

from __future__ import annotations

from pathlib import Path

from metabench.methods.former_names import PRESENT_NAMES
from metabench.methods.registry import find_registered_methods
from metabench.system.scaffold import write_package

TEMPLATE = Path(__file__).parent / "template"

_FILES = {
    "pyproject.toml.txt": "pyproject.toml",
    "README.md.txt": "README.md",
    "init.py.txt": "{package}/__init__.py",
    "method.py.txt": "{package}/method.py",
    "test_method.py.txt": "tests/test_method.py",
}


def write_plugin(name: str, folder: Path) -> tuple[Path, ...]:
    """Write a package that registers the method `name` into the new or empty `folder`.

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
    return write_package("method", name, folder, TEMPLATE, _FILES, taken_by)
