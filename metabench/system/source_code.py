"""Whose code a class is, where its source lies, and a hash that changes when the source is edited."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from traceback import walk_stack
from types import ModuleType

from metabench.errors import MetabenchError, MethodError
from metabench.system.foreign import call_foreign, name_raised
from metabench.system.home import list_files

OWN_PACKAGES = frozenset({"metabench", "metabench_baselines"})
"""Their code is known by metabench's version and revision; no other is."""

INSTALLATION_FOLDERS = frozenset({"site-packages", "dist-packages"})

_CODE_SUFFIXES = (".py", *EXTENSION_SUFFIXES)


def find_foreign_sources(classes: Iterable[type]) -> tuple[Path, ...]:
    """Where the code of `classes` and of what they inherit from lies, as far as it is not metabench's own.

    A place is a file, or the folder of a package; a file's neighbours that it imports are places, too. Of base
    classes, those that are installed count as dependencies and are left out, as is the standard library.

    Raises:
        MetabenchError: the source of one of `classes` is in no file.
    """
    found: dict[Path, None] = {}
    for each in classes:
        if not _is_own(each):
            found.update(dict.fromkeys(_with_neighbours(_find_source(each))))
        for base in each.__mro__[1:]:
            if not _is_own(base) and (file := _find_module_file(base)) is not None:
                place = _find_package(file)
                if not _is_installed(place):
                    found.update(dict.fromkeys(_with_neighbours(place)))
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


def name_module(path: Path) -> str:
    """What the file of a method is imported as: by its whole path, as files of one name in two folders are two.

    Raises:
        MetabenchError: it is being imported right now, by whoever asks.
    """
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    name = f"metabench_file_{digest}"
    importing = (frame for frame, _ in walk_stack(None) if frame.f_code.co_name == "<module>")
    if any(frame.f_globals.get("__name__") == name for frame in importing):
        raise MetabenchError(
            "it runs a method of its own file while this file is imported; put its program under `if __name__ == "
            '"__main__":`'
        )
    return name


def import_file(path: Path) -> ModuleType:
    """The module that a file of foreign code is; raises `MethodError` if its import fails."""
    name = name_module(path)
    specification = importlib.util.spec_from_file_location(name, path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[module.__name__] = module  # dataclasses and pydantic look annotations up there
    blamed = call_foreign(lambda each: MethodError(f"{path}: failed to load: {name_raised(each)}"))
    try:
        with blamed, _importing_from(path):
            specification.loader.exec_module(module)
    except BaseException:
        del sys.modules[module.__name__]
        raise
    return module


@contextmanager
def _importing_from(file: Path) -> Iterator[None]:
    """While entered, modules are looked for beside `file` first, as Python does for the script that it runs.

    Afterwards they are looked for there last, for what the code imports later: others keep their names.
    """
    folder = file.resolve().parent
    _forget_namesakes(folder)
    with suppress(ValueError):
        sys.path.remove(str(folder))
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        with suppress(ValueError):
            sys.path.remove(str(folder))
        sys.path.append(str(folder))


def _forget_namesakes(folder: Path) -> None:
    """Of the modules imported from beside other files, forget those whose names mean files of `folder` now."""
    for name in {path.name.partition(".")[0] for path in folder.iterdir()} & set(sys.modules):
        own, file = _find_neighbour(folder, name), getattr(sys.modules[name], "__file__", None)
        if own is None or file is None or name in {*sys.stdlib_module_names, *OWN_PACKAGES}:
            continue
        if (
            name != "__main__"
            and not _is_installed(Path(file))
            and own
            not in Path(file)
            .resolve()
            .joinpath("_")
            .parents  # as it may have been found by a path with ..
        ):
            for each in [each for each in sys.modules if each.partition(".")[0] == name]:
                del sys.modules[each]


def _find_neighbour(folder: Path, name: str) -> Path | None:
    """The file or package that `import name` finds in a folder; None if there is none."""
    if (folder / name / "__init__.py").is_file():
        return folder / name
    return next(
        (path for end in _CODE_SUFFIXES if (path := folder / f"{name}{end}").is_file()), None
    )


def _with_neighbours(place: Path) -> list[Path]:
    """A place, and what its code imports from beside it, and so on; a package's folder holds all that is its own."""
    found = [place]
    if place.is_dir() or _is_installed(place):
        return found
    for each in found:  # it grows meanwhile
        for name in sorted(set(list_imports(each))):
            own = _find_neighbour(place.parent, name)
            if own is not None and own not in found and not _is_installed(own):
                found.append(own)
    return found


def list_imports(place: Path) -> Iterator[str]:
    """The packages that code names in its imports."""
    for path in list_code_files(place):
        if path.suffix != ".py":
            continue
        try:
            tree = ast.parse(path.read_bytes())
        except (OSError, SyntaxError, ValueError, RecursionError):
            continue  # a file that is never imported may be anything
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.partition(".")[0]


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
