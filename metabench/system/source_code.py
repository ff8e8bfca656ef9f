"""Whose code a class is, where its source lies, and a hash that changes when the source is edited."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Sequence
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from metabench.errors import MetabenchError
from metabench.system.home import list_files

OWN_PACKAGES = frozenset({"metabench", "metabench_baselines"})
"""Their code is known by metabench's version and revision; no other is."""

INSTALLATION_FOLDERS = frozenset({"site-packages", "dist-packages"})

_CODE_SUFFIXES = (".py", *EXTENSION_SUFFIXES)


def find_foreign_sources(classes: Iterable[type]) -> tuple[Path, ...]:
    """Where the code of `classes` and of what they inherit from lies, as far as it is not metabench's own.

    A place is a file, or the folder of a package. Of base classes, those that are installed count as dependencies and
    are left out, as is the standard library.

    Raises:
        MetabenchError: the source of one of `classes` is in no file.
    """
    found: dict[Path, None] = {}
    for each in classes:
        if not _is_own(each):
            found.setdefault(_find_source(each))
        for base in each.__mro__[1:]:
            if not _is_own(base) and (file := _find_module_file(base)) is not None:
                place = _find_package(file)
                if not _is_installed(place):
                    found.setdefault(place)
    return tuple(found)


def find_package_source(package: str) -> Path:
    """Where the code of an importable package lies, without importing it; raises `MetabenchError` if nowhere."""
    from importlib.util import find_spec

    try:
        specification = find_spec(package.partition(".")[0])
    except (ImportError, ValueError) as error:
        raise MetabenchError(f"package {package!r}: cannot be found: {error}") from error
    if specification is None or specification.origin is None:
        raise MetabenchError(f"package {package!r}: cannot be found; expected an installed one")
    return _find_package(Path(specification.origin).resolve())


def digest_sources(places: Sequence[Path]) -> str | None:
    """`sha256:...` of all code in `places`, wherever these lie; None of no place.

    Raises:
        MetabenchError: a file cannot be read.
    """
    if not places:
        return None
    digest = hashlib.sha256()
    for place in places:
        for path in list_code_files(place):
            try:
                content = path.read_bytes()
            except OSError as error:
                raise MetabenchError(f"{path}: cannot be read: {error.strerror}") from error
            # A file alone may be called anything; in a package its place is what others import it by.
            name = "" if path == place else path.relative_to(place).as_posix()
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
        digest.update(b"\1")
    return "sha256:" + digest.hexdigest()


def list_code_files(place: Path) -> list[Path]:
    """The files of code of a file or package, sorted by their names there."""
    if not place.is_dir():
        return [place]
    files = (path for path in list_files(place) if path.name.endswith(_CODE_SUFFIXES))
    return sorted(files, key=lambda path: path.relative_to(place).parts)


def _is_own(each: type) -> bool:
    """Whether a class is metabench's own or Python's: the module that it names must hold it."""
    package = each.__module__.partition(".")[0]
    if package in sys.stdlib_module_names and package != "__main__":
        return True
    if package not in OWN_PACKAGES:
        return False
    held: object = sys.modules.get(each.__module__)
    for name in each.__qualname__.split("."):
        held = getattr(held, name, None)
    return held is each


def _find_source(each: type) -> Path:
    # A class that names a module of metabench which does not hold it came from somewhere else.
    is_misnamed = each.__module__.partition(".")[0] in OWN_PACKAGES
    file = None if is_misnamed else _find_module_file(each)
    if file is None:
        raise MetabenchError(
            f"class {each.__qualname__!r} of {each.__module__}: its source is in no file, and could not be told from "
            "another; expected one of a file or of an installed package"
        )
    return _find_package(file)


def _find_module_file(each: type) -> Path | None:
    file = getattr(sys.modules.get(each.__module__), "__file__", None)
    path = None if file is None else Path(file).resolve()
    return path if path is not None and path.is_file() else None


def _find_package(file: Path) -> Path:
    """The folder of the outermost package that a module belongs to, or its file where it belongs to none."""
    place = file
    for folder in file.parents:
        if not (folder / "__init__.py").is_file():
            break
        place = folder
    return place


def _is_installed(place: Path) -> bool:
    """Whether an installer put it there, for whichever Python that this one sees packages of."""
    return not INSTALLATION_FOLDERS.isdisjoint(place.parts)
