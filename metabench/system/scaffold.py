"""Plugin packages written from a template: small, and they work as they are."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Mapping
from importlib.machinery import PathFinder
from pathlib import Path
from string import Template

from metabench.errors import MetabenchError


def write_package(
    kind: str,
    name: str,
    folder: Path,
    template: Path,
    files: Mapping[str, str],
    taken_by: str | None,
) -> tuple[Path, ...]:
    """Write a package that registers `name` into the new or empty `folder`.

    In the template's files and the targets' paths, `name` stands for the name, `package` for the name as Python writes
    it and `class_name` for what its classes are called.

    Args:
        kind: what is written, for messages: `method`.
        name: its name.
        folder: where it goes.
        template: the folder of the template's files.
        files: the template's files, to where each goes below `folder`.
        taken_by: what has this name already; None if nothing has.

    Returns:
        The files, in the order written.

    Raises:
        MetabenchError: `name` is not a possible name or is taken, here or among Python packages, or `folder` is not
            empty.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise MetabenchError(
            f"{kind} name {name!r}: expected lower-case words and digits joined by hyphens: my-{kind}"
        )
    if taken_by is not None:
        raise MetabenchError(f"{kind} name {name!r} is taken by {taken_by}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise MetabenchError(f"{folder}: expected a new or an empty folder")
    package = name.replace("-", "_")
    if package in sys.stdlib_module_names or keyword.iskeyword(package):
        raise MetabenchError(
            f"{kind} name {name!r} is a name of Python's own; expected another: my-{name}"
        )
    if PathFinder.find_spec(package) is not None:
        raise MetabenchError(
            f"{kind} name {name!r} is that of an installed Python package; expected another: my-{name}"
        )
    words = {
        "name": name,
        "package": package,
        "class_name": "".join(word.capitalize() for word in name.split("-")),
    }
    written = []
    for source, target in files.items():
        text = Template((template / source).read_text(encoding="utf-8"))
        path = folder / target.format(**words)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.substitute(words), encoding="utf-8")
        written.append(path)
    return tuple(written)
