"""Numbers that were published with OSWM: logs of its repository, and what its released policies earn when run again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

STATE_AXES: Mapping[str, tuple[str, ...]] = {
    "grid-world": ("column", "row"),
    "simple-env": ("state",),
    "cartpole": ("position", "speed", "angle", "angular speed"),
    "mountain-car": ("position", "speed"),
    "pendulum": ("cosine", "sine", "angular speed"),
}
"""The five environments and the axes of their states."""


@dataclass(frozen=True)
class LoggedReturn:
    """Real returns of a policy that was learned in imagination, each a mean and a standard deviation over seeds.

    Attributes:
        last: of the last policy.
        selected: of the best of 500 policies on the way, chosen by the very returns that are told.
    """

    last: tuple[float, float]
    selected: tuple[float, float]


RANDOM_CONTEXT: Mapping[str, LoggedReturn] = {
    "grid-world": LoggedReturn((4.94, 0.36), (5.20, 0.0)),
    "simple-env": LoggedReturn((-8.25, 1.27), (-2.31, 2.35)),
    "cartpole": LoggedReturn((115.3, 50.3), (198.3, 3.5)),
    "mountain-car": LoggedReturn((-200.0, 0.0), (-200.0, 0.0)),
    "pendulum": LoggedReturn((-1508.0, 110.0), (-1032.0, 20.0)),
}
"""Contexts of random actions, the main results: 3 seeds, 10 of cartpole, one of mountain-car."""

INFORMED_CONTEXT: Mapping[str, LoggedReturn] = {
    "grid-world": LoggedReturn((-25.83, 0.0), (5.20, 0.0)),
    "simple-env": LoggedReturn((-10.36, 3.26), (-2.48, 0.85)),
    "cartpole": LoggedReturn((77.9, 39.8), (139.0, 32.5)),
    "mountain-car": LoggedReturn((-200.0, 0.0), (-200.0, 0.0)),
    "pendulum": LoggedReturn((-1445.0, 169.0), (-1029.0, 49.0)),
}
"""Contexts with an expert's actions, `mixture` or `p-expert`: the logs do not say which."""

RANDOM_POLICY: Mapping[str, float] = {
    "grid-world": -13.7,
    "simple-env": -252.0,
    "cartpole": 22.5,
    "mountain-car": -200.0,
    "pendulum": -1230.0,
}
"""Return of uniformly random actions, 100 episodes."""

REAL_POLICY: Mapping[str, float] = {
    "grid-world": 5.20,
    "simple-env": -0.90,
    "cartpole": 200.0,
    "mountain-car": -110.7,
    "pendulum": -259.6,
}
"""Return of the released policies that were learned in the real environment, 100 episodes."""

SOLVED: Mapping[str, float] = {"grid-world": 5.0, "simple-env": -7.6, "cartpole": 195.0}
"""What the paper's plots call solved."""

PROXY_LOSSES: Mapping[str, Mapping[str, tuple[float, float, float]]] = {
    "random": {
        "cartpole": (4.1e-4, 7.0e-3, 8.0e-3),
        "pendulum": (0.0305, 0.0819, 0.0316),
        "simple-env": (0.145, 0.125, 0.168),
        "mountain-car": (4.6e-6, 1.6e-3, 2.8e-3),
    },
    "expert": {
        "cartpole": (0.0216, 6.3e-3, 7.7e-5),
        "pendulum": (0.110, 0.073, 0.0111),
        "simple-env": (23.6, 3.64, 1.6e-3),
    },
}
"""By context and environment: losses on transitions of which all, half and none had random actions.

That the first are of random contexts is what their pattern says; the logs do not.
"""

RANDOM_FRACTIONS = (1.0, 0.5, 0.0)
"""Of the three numbers of `PROXY_LOSSES`."""

PROXY_SLOTS = 14
"""Squared errors are averaged over so many slots, used or not."""


def find_logged_return(environment: str, context: str) -> LoggedReturn | None:
    """What the paper's logs have for an environment and a kind of context; None where they have nothing."""
    table = {
        "random": RANDOM_CONTEXT,
        "p-expert": INFORMED_CONTEXT,
        "mixture": INFORMED_CONTEXT,
    }.get(context, {})
    return table.get(environment)


def find_logged_proxy(environment: str, context: str, fraction: float) -> float | None:
    """The logged proxy loss; None where there is none."""
    losses = PROXY_LOSSES.get(context, {}).get(environment)
    return None if losses is None else losses[RANDOM_FRACTIONS.index(fraction)]
