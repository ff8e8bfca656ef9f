"""Methods that a program holds as classes and instances: the names by which another process finds the same code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from metabench.errors import MetabenchError
from metabench.methods.configuring import find_overrides
from metabench.methods.contract import Method
from metabench.methods.registry import ENTRY_POINT_GROUP, find_registered_methods


def name_method_class(method: object) -> str:
    """What `load_method` takes for `method`: the name that it is registered under, or `/path/to/file.py:Class`.

    Raises:
        MetabenchError: no other process can find it: it is in no file, or within a function or another class, or in a
            package that does not register it.
    """
    if not isinstance(method, type) or not issubclass(method, Method):
        raise MetabenchError(
            f"expected methods as names, classes or instances of metabench.Method, found {method!r:.80}"
        )
    registered = find_registered_methods().get(getattr(method, "name", ""))
    if registered is not None and registered.points[0].load() is method:
        return registered.name
    name, module = method.__qualname__, sys.modules.get(method.__module__)
    if getattr(module, name, None) is not method:
        raise MetabenchError(
            f"class {name!r}: other processes cannot find it; expected a class at the top of a file"
        )
    file = getattr(module, "__file__", None)
    if file is None or not Path(file).is_file():
        raise MetabenchError(
            f"class {name!r}: is in no file, so other processes cannot import it; write it into one (in a notebook: "
            f"%%writefile my_method.py) and pass 'my_method.py:{name}'"
        )
    if getattr(module, "__package__", None):
        raise MetabenchError(
            f"class {method.__module__}.{name}: its package does not register it; give it an entry point in the group "
            f"{ENTRY_POINT_GROUP} under its name, and pass that"
        )
    return f"{Path(file).resolve()}:{name}"


def describe_given_method(given: object, preset: str, suite: str) -> tuple[str, dict[str, Any]]:
    """What `load_method` takes for a method, and the configuration keys in which an instance differs from `preset`.

    Args:
        given: a name, a class or an instance of `Method`.
        preset: a preset of the method.
        suite: the name of the suite that it is configured for.

    Raises:
        UnknownNameError: it has no such preset.
        MetabenchError: it is none of these, or no other process can find it.
    """
    if isinstance(given, str):
        return given, {}
    if not isinstance(given, Method):
        return name_method_class(given), {}
    if not isinstance(getattr(given, "config", None), given.config_class):
        raise MetabenchError(
            f"method {given.name!r}: expected its `config` to be a {given.config_class.__name__}, which is all that it "
            f"is configured by, found {getattr(given, 'config', None)!r:.80}"
        )
    return name_method_class(type(given)), find_overrides(given, preset, suite)
