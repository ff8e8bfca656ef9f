"""Methods by name, from installed packages, and by path, from files; nothing is imported before it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metabench.errors import (
    DataError,
    MetabenchError,
    MethodError,
    UnknownNameError,
    first_problem,
)
from metabench.methods.configuring import configure
from metabench.methods.former_names import PRESENT_NAMES, refuse_former_name
from metabench.methods.presets import check_preset
from metabench.methods.requirements import require_method
from metabench.system.foreign import call_foreign, name_raised
from metabench.system.source_code import digest_sources, find_foreign_sources, import_file

if TYPE_CHECKING:
    from metabench.methods.contract import Method

ENTRY_POINT_GROUP = "metabench.methods"
"""An entry point names a method and points at its class: `my-method = "my_method:MyMethod"`."""

OWN_DISTRIBUTION = "metabench"


@dataclass(frozen=True)
class RegisteredMethod:
    """A name and what installed packages registered under it.

    Attributes:
        name: the method's name.
        points: its entry point; several if plugins disagree, and the name cannot be used before that is settled.
    """

    name: str
    points: tuple[EntryPoint, ...]

    @property
    def built_in(self) -> bool:
        """Whether it ships with metabench."""
        return _name_distribution(self.points[0]) == OWN_DISTRIBUTION

    @property
    def origin(self) -> str:
        """Where it comes from: `metabench_baselines.bc:BC (metabench)`."""
        return " and ".join(f"{point.value} ({_name_distribution(point)})" for point in self.points)

    @property
    def conflict(self) -> str | None:
        """What is wrong with the name, in one line; None where one class is registered under it."""
        return (
            f"method {self.name!r} is registered twice: by {self.origin}"
            if len(self.points) > 1
            else None
        )


def find_registered_methods() -> dict[str, RegisteredMethod]:
    """All installed methods by name, sorted, without importing any; built-in names win over plugins'."""
    found: dict[str, dict[str, EntryPoint]] = {}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        # By what it points at: one class that is found twice, in two folders of the path, is no conflict.
        found.setdefault(point.name, {}).setdefault(point.value, point)
    registered = {}
    for name in sorted(found):
        points = tuple(found[name].values())
        if len(points) > 1:  # only then: a distribution's name takes a reading of all its metadata
            own = tuple(point for point in points if _name_distribution(point) == OWN_DISTRIBUTION)
            points = own or points
        registered[name] = RegisteredMethod(name, points)
    return registered


def list_methods() -> tuple[str, ...]:
    """Names of all installed methods, without importing any."""
    return tuple(find_registered_methods())


def load_method_class(spec: str) -> tuple[type[Method], str | None]:
    """Import the class that `spec` names; the second value is the variant's name, if `spec` has one.

    Args:
        spec: `NAME`, `NAME/VARIANT`, `path/to/file.py:Class` or `path/to/file.py:Class/VARIANT`.

    Raises:
        UnknownNameError: no such method, class or variant.
        MethodError: its import fails.
        MetabenchError: its name is registered twice, or it is no method.
    """
    if not isinstance(spec, str):
        raise MetabenchError(f"expected the name of a method, found {spec!r:.80}")
    # Split at ".py:" first: a path may hold slashes, and what follows its class after a slash is the variant.
    path, is_file, rest = spec.partition(".py:")
    if is_file:
        attribute, _, variant = rest.partition("/")
        method = _load_from_file(Path(path + ".py"), attribute)
    else:
        name, _, variant = spec.partition("/")
        method = _load_from_entry_point(name)
    if variant and variant not in method.variants:
        raise UnknownNameError(f"variant of method {method.name}", variant, method.variants)
    return method, variant or None


def load_method(
    spec: str,
    *,
    preset: str = "cpu",
    suite: str = "point-robot",
    overrides: Mapping[str, Any] | None = None,
) -> Method:
    """Import a method and configure it: the preset for `suite`, then the variant, then `overrides`.

    Args:
        spec: `NAME`, `NAME/VARIANT`, `path/to/file.py:Class` or `path/to/file.py:Class/VARIANT`.
        preset: name of one of the method's presets.
        suite: name of the suite to configure it for.
        overrides: configuration keys and their values; strings are read as the key's type.

    Raises:
        UnknownNameError: no such method, class, variant, preset or configuration key.
        MetabenchError: its import fails, its name is registered twice, it is no method, it has no such preset though
            others have, or a value is invalid.
    """
    method, variant = load_method_class(spec)
    return make_method(method, variant, preset=preset, suite=suite, overrides=overrides or {})


def make_method(
    method: type[Method],
    variant: str | None,
    *,
    preset: str,
    suite: str,
    overrides: Mapping[str, Any],
) -> Method:
    """What `load_method` makes of the class and the variant that `load_method_class` finds."""
    presets = method.presets(suite)
    check_preset(method.name, preset, presets)
    if not isinstance(presets[preset], method.config_class):
        raise MetabenchError(
            f"method {method.name!r}: expected preset {preset!r} to be a {method.config_class.__name__}, found "
            f"{presets[preset]!r:.80}"
        )
    changes = {**(method.variants[variant] if variant else {}), **overrides}
    configuration = configure(method.name, presets[preset], changes)
    what = f"method {method.name!r}: cannot be made of its configuration alone"
    with call_foreign(lambda error: MethodError(f"{what}: {name_raised(error)}")):
        return method(configuration)


def find_method_sources(method: type[Method]) -> tuple[Path, ...]:
    """Where the code of a method lies that does not come with metabench; empty for one that does.

    Raises:
        MetabenchError: its source is in no file.
    """
    return find_foreign_sources((method, method.config_class))


def digest_method_code(method: type[Method]) -> str | None:
    """The hash of a method's code, which is part of its cells; None for one that comes with metabench."""
    return digest_sources(find_method_sources(method))


def check_method_code(method: type[Method], expected: str | None) -> None:
    """Raise `MetabenchError` if `method` is not of the code that a cell names; None names none."""
    found = digest_method_code(method)
    if expected is not None and found != expected:
        raise MetabenchError(
            f"method {method.name!r}: its code is not that of the policy: expected {expected:.15}, found "
            f"{found or 'none':.15}; train again, or take that code"
        )


def configure_method(
    spec: str, configuration: Mapping[str, Any], code: str | None = None
) -> Method:
    """The method of `spec` with a full configuration; the variant that `spec` may name is in it.

    Args:
        spec: what `load_method` takes.
        configuration: all keys and values.
        code: the hash of the code that it must be of; None takes any.

    Raises:
        DataError: the method does not take this configuration.
        MetabenchError: it cannot be had, or is of other code.
    """
    from pydantic import ValidationError

    found, _ = load_method_class(spec)
    check_method_code(found, code)
    try:
        return found(found.config_class.model_validate(configuration))
    except ValidationError as error:
        problem = first_problem(error, "(whole configuration)")
        raise DataError(f"method {spec!r}: the configuration does not fit it: {problem}") from error


def name_method(spec: str, name: str) -> str:
    """The method called `name`, loaded from `spec`, in records and tables: `meta-dt`, `meta-dt/no_context`."""
    variant = spec.rpartition(".py:")[2].partition("/")[2]
    return f"{name}/{variant}" if variant else name


def find_entry_point(name: str) -> EntryPoint:
    """Where the installed method `name` is; nothing is imported.

    Raises:
        UnknownNameError: no such method.
        MetabenchError: its name is registered twice, or has changed.
    """
    return _find_registered(name).points[0]


def _find_registered(name: str) -> RegisteredMethod:
    registered = find_registered_methods()
    refuse_former_name(name, registered)
    if name not in registered:
        raise UnknownNameError("method", name, registered)
    if registered[name].conflict:
        raise MetabenchError(f"{registered[name].conflict}; uninstall one of them")
    return registered[name]


def _load_from_entry_point(name: str) -> type[Method]:
    entry = _find_registered(name)
    what = f"method {name!r}: its plugin {entry.origin}"
    with call_foreign(lambda error: MethodError(f"{what} failed to load: {name_raised(error)}")):
        found = entry.points[0].load()
    method = require_method(found, f"method {name!r} ({entry.origin})")
    check_foreign_name(name, method.name)
    return method


def _load_from_file(path: Path, attribute: str) -> type[Method]:
    if not path.is_file():
        raise MetabenchError(f"{path}: no such file; expected path/to/file.py:Class")
    module = import_file(path)
    if not attribute or not hasattr(module, attribute):
        classes = [
            name
            for name, value in vars(module).items()
            if isinstance(value, type) and value.__module__ == module.__name__
        ]
        raise UnknownNameError(f"class of {path}", attribute, classes)
    method = require_method(getattr(module, attribute), f"{path}:{attribute}")
    check_foreign_name(f"{path}:{attribute}", method.name)
    return method


def is_built_in(spec: str) -> bool:
    """Whether `spec` names a method that comes with metabench; nothing is imported."""
    registered = find_registered_methods().get(spec.partition("/")[0])
    return ".py:" not in spec and registered is not None and registered.built_in


def check_foreign_name(spec: str, name: str) -> None:
    """Raise `MetabenchError` if the method of `spec`, which does not come with metabench, may not be called `name`."""
    if ".py:" in spec:
        registered = find_registered_methods().get(name)
        if (registered is not None and registered.built_in) or name in PRESENT_NAMES:
            raise MetabenchError(
                f"{spec}: its name {name!r} is that of a method of metabench; expected another, such as "
                f"{'my-' + name!r}"
            )
    elif name != (expected := spec.partition("/")[0]):
        origin = find_registered_methods()[expected].origin
        raise MetabenchError(
            f"method {expected!r} ({origin}): expected its name to be {expected!r}, found {name!r}"
        )


def _name_distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "unknown package"
