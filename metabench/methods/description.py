"""A method in words: what `metabench describe` shows."""

from __future__ import annotations

import inspect
from typing import Any

from metabench.methods.registry import find_registered_methods, load_method_class


def describe_method(spec: str, suite: str) -> dict[str, Any]:
    """What the method `spec` says of itself, with its presets for `suite`, as JSON content.

    Raises:
        UnknownNameError: no such method.
        MetabenchError: its import fails, or it is no method.
    """
    method, _ = load_method_class(spec)
    registered = find_registered_methods().get(spec.partition("/")[0])
    file = inspect.getsourcefile(method)
    return {
        "name": method.name,
        "version": method.version,
        "origin": registered.origin if registered and ".py:" not in spec else str(file),
        "description": inspect.getdoc(method) or "",
        "privileged": method.privileged,
        "uses_expert_labels": method.uses_expert_labels,
        "uses_stages": method.uses_stages,
        "trains": method.trains,
        "discrete_actions": method.discrete_actions,
        "continuous_actions": method.continuous_actions,
        "presets": {
            name: config.model_dump(mode="json") for name, config in method.presets(suite).items()
        },
        "keys": {
            key: field.description or "" for key, field in method.config_class.model_fields.items()
        },
        "variants": {name: dict(changes) for name, changes in method.variants.items()},
    }
