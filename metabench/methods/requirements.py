"""What a class needs before anything is done with it as a method."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from metabench.errors import MetabenchError

if TYPE_CHECKING:
    from metabench.methods.contract import Method

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
"""What methods and variants may be called: folders of results bear the name, and `/`, `@` and `#` stand after it."""


def require_method(found: Any, what: str) -> type[Method]:
    """`found`, if it is a whole method; raises `MetabenchError` that says of `what` was expected otherwise."""
    from metabench.methods.contract import Config, Method

    if not isinstance(found, type) or not issubclass(found, Method):
        raise MetabenchError(
            f"{what}: expected a subclass of metabench.Method, found {found!r:.80}"
        )
    if not isinstance(getattr(found, "name", None), str):
        raise MetabenchError(
            f"{what}: expected a class attribute `name`, the method's name as a string"
        )
    for kind, name in [("name", found.name), *(("variant", each) for each in found.variants)]:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise MetabenchError(
                f"{what}: {kind} {name!r:.80}: expected at most 64 letters, digits and . _ + -, a letter or digit first"
            )
    missing = sorted(found.__abstractmethods__)
    if missing:
        raise MetabenchError(f"{what}: expected it to define {', '.join(missing)}")
    if not isinstance(found.config_class, type) or not issubclass(found.config_class, Config):
        raise MetabenchError(
            f"{what}: expected `config_class` to be a subclass of metabench.Config, found {found.config_class!r:.80}"
        )
    return found
