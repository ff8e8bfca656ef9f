"""Writes a plugin package around a small method that works: the quickest way to an own one."""

from __future__ import annotations

import keyword
import re
import sys
from pathlib import Path
from string import Template

from metabench.errors import MetabenchError
from metabench.methods.registry import registered_methods

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
        MetabenchError: `name` is not a possible name, is taken by an installed method or by Python itself, or `folder`
            is not empty.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise MetabenchError(f"method name {name!r}: expected lower-case words and digits joined by hyphens: my-method")
    registered = registered_methods().get(name)
    if registered is not None:
        raise MetabenchError(f"method name {name!r} is taken by {registered.origin}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise MetabenchError(f"{folder}: expected a new or an empty folder")
    package = name.replace("-", "_")
    if package in sys.stdlib_module_names or keyword.iskeyword(package):
        raise MetabenchError(f"method name {name!r} is a name of Python's own; expected another: my-{name}")
    class_name = "".join(word.capitalize() for word in name.split("-"))
    written = []
    for source, target in _FILES.items():
        text = Template((TEMPLATE / source).read_text(encoding="utf-8"))
        path = folder / target.format(package=package)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.substitute(name=name, package=package, class_name=class_name), encoding="utf-8")
        written.append(path)
    return tuple(written)
