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
    "reacher": (
        "shoulder's cosine",
        "elbow's cosine",
        "shoulder's sine",
        "elbow's sine",
        "target's x",
        "target's y",
        "shoulder's speed",
        "elbow's speed",
        "x to target",
        "y to target",
    ),
}
"""The six environments and the axes of their states. Numbers of Reacher are of its version 4; ours is version 5."""


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
    "reacher": LoggedReturn((-75.4, 5.5), (-9.01, 0.56)),
}
"""Contexts of random actions, the main results: 3 seeds, 10 of cartpole, one of mountain-car."""

INFORMED_CONTEXT: Mapping[str, LoggedReturn] = {
    "grid-world": LoggedReturn((-25.83, 0.0), (5.20, 0.0)),
    "simple-env": LoggedReturn((-10.36, 3.26), (-2.48, 0.85)),
    "cartpole": LoggedReturn((77.9, 39.8), (139.0, 32.5)),
    "mountain-car": LoggedReturn((-200.0, 0.0), (-200.0, 0.0)),
    "pendulum": LoggedReturn((-1445.0, 169.0), (-1029.0, 49.0)),
    "reacher": LoggedReturn((-47.5, 14.9), (-8.68, 0.43)),
}
"""Contexts with an expert's actions, `mixture` or `p-expert`: the logs do not say which."""

NETWORKS_ONLY: Mapping[str, LoggedReturn] = {
    "grid-world": LoggedReturn((5.20, 0.0), (5.20, 0.0)),
    "simple-env": LoggedReturn((-15.00, 11.38), (-0.80, 0.30)),
    "cartpole": LoggedReturn((151.5, 50.0), (200.0, 0.0)),
    "mountain-car": LoggedReturn((-200.0, 0.0), (-200.0, 0.0)),
    "pendulum": LoggedReturn((-1624.0, 90.0), (-1009.0, 11.0)),
    "reacher": LoggedReturn((-67.2, 24.6), (-8.82, 0.28)),
}
"""The model of a prior of networks alone, after random contexts, 3 seeds: that is what the logs' name suggests."""

RANDOM_POLICY: Mapping[str, float] = {
    "grid-world": -13.7,
    "simple-env": -252.0,
    "cartpole": 22.5,
    "mountain-car": -200.0,
    "pendulum": -1230.0,
    "reacher": -41.6,
}
"""Return of uniformly random actions, 100 episodes; of reacher 50 times the mean reward of published transitions."""

REAL_POLICY: Mapping[str, float] = {
    "grid-world": 5.20,
    "simple-env": -0.90,
    "cartpole": 200.0,
    "mountain-car": -110.7,
    "pendulum": -259.6,
    "reacher": -4.5,
}
"""Return of the released policies that were learned in the real environment, as above."""

SOLVED: Mapping[str, float] = {"grid-world": 5.0, "simple-env": -7.6, "cartpole": 195.0}
"""What the paper's plots call solved."""

PROXY_LOSSES: Mapping[str, Mapping[str, tuple[float, float, float]]] = {
    "random": {
        "cartpole": (4.1e-4, 7.0e-3, 8.0e-3),
        "pendulum": (0.0305, 0.0819, 0.0316),
        "simple-env": (0.145, 0.125, 0.168),
        "mountain-car": (4.6e-6, 1.6e-3, 2.8e-3),
        "reacher": (0.628, 0.316, 0.228),
    },
    "expert": {
        "cartpole": (0.0216, 6.3e-3, 7.7e-5),
        "pendulum": (0.110, 0.073, 0.0111),
        "simple-env": (23.6, 3.64, 1.6e-3),
        "reacher": (3.59, 0.860, 0.0189),
    },
}
"""By context and environment: losses on transitions of which all, half and none had random actions.

That the first are of random contexts is what their pattern says; the logs do not.
"""

RANDOM_FRACTIONS = (1.0, 0.5, 0.0)
"""Of the three numbers of `PROXY_LOSSES`."""

PROXY_SLOTS = 14
"""Squared errors are averaged over so many slots, used or not."""


def find_logged_return(
    environment: str, context: str, networks_only: bool = False
) -> LoggedReturn | None:
    """What the paper's logs have for an environment and a kind of context; None where they have nothing.

    `networks_only` asks for the model of a prior of networks alone, of which there are random contexts only.
    """
    if networks_only:
        return NETWORKS_ONLY.get(environment) if context == "random" else None
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
