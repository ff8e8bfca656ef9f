"""Quicker stand-ins for methods of Meta-World's environments, of the same result to the last bit."""

from __future__ import annotations

import functools
import math
import weakref
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any

import mujoco
import numpy as np

from metabench.envs.spaces import Array


class _Rotation:
    """Stands in for SciPy's class where an environment turns a matrix of MuJoCo's into a quaternion."""

    def __init__(self, matrix: Array) -> None:
        self._matrix = matrix

    from_matrix: Callable[[Array], _Rotation]

    def as_quat(self) -> Array:
        """`(4,)`, scalar last, by the formula and in the order of operations of SciPy."""
        (a, b, c), (d, e, f), (g, h, i) = self._matrix.tolist()
        trace = a + e + i
        largest = max(a, e, i, trace)
        if largest == a:
            x, y, z, w = 1.0 - trace + 2.0 * a, d + b, g + c, h - f
        elif largest == e:
            x, y, z, w = d + b, 1.0 - trace + 2.0 * e, h + f, c - g
        elif largest == i:
            x, y, z, w = g + c, h + f, 1.0 - trace + 2.0 * i, d - b
        else:
            x, y, z, w = h - f, c - g, d - b, 1.0 + trace
        norm = math.sqrt(x * x + y * y + z * z + w * w)
        return np.array((x / norm, y / norm, z / norm, w / norm))


_Rotation.from_matrix = _Rotation  # SciPy's name for the constructor


@functools.cache
def derive_class_on_model(environment_class: Any) -> Any:
    """The class with its model given instead of compiled: that takes most of the time to make an environment."""

    def initialize_simulation(self: Any) -> tuple[mujoco.MjModel, mujoco.MjData]:
        return self.given_model, mujoco.MjData(self.given_model)

    return type(
        environment_class.__name__,
        (environment_class,),
        {"_initialize_simulation": initialize_simulation},
    )


def strip_decorator(function: Any) -> Any:
    """The function behind Meta-World's decorator that asserts that a task is set."""
    return function.__closure__[0].cell_contents if function.__closure__ else function


def replace_slow_methods(environment: Any) -> None:
    """Give this one instance quicker methods of the same result; classes and modules stay as they are."""
    data = environment.data
    function = type(environment)._get_quat_objects
    if "Rotation" in function.__globals__:
        copied = FunctionType(
            function.__code__, {**function.__globals__, "Rotation": _Rotation}, function.__name__
        )
        # A weak reference: a cycle would keep the model's 20 MB until the garbage collector comes round.
        environment._get_quat_objects = MethodType(copied, weakref.proxy(environment))
    places: dict[str, Array] = {}

    def get_body_com(name: str) -> Array:
        if name not in places:
            places[name] = data.body(name).xpos
        return places[name]

    pads = data.geom("leftpad_geom").id, data.geom("rightpad_geom").id

    def touching_object(geometry: int) -> bool:
        contacts = data.contact
        pairs = list(
            zip(
                contacts.geom1.tolist(),
                contacts.geom2.tolist(),
                contacts.efc_address.tolist(),
                strict=True,
            )
        )
        forces = data.efc_force
        return all(
            sum(forces[row] for first, second, row in pairs if {pad, geometry} <= {first, second})
            > 0.0
            for pad in pads
        )

    environment.get_body_com = get_body_com
    environment.touching_object = touching_object
