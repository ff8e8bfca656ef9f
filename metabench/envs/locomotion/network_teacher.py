"""Teachers with trained weights: one small network a behaviour, float64 arithmetic, noise from each lane's seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from metabench.envs.batched import TaskParameters
from metabench.envs.family import Teacher, clip_to_unit
from metabench.envs.spaces import Array, Spaces
from metabench.errors import DataError, UnknownNameError

BEHAVIOURS = ("stage-1", "stage-2", "medium", "stage-4", "expert")
"""Weakest first; each is a file `teachers/NAME.safetensors`."""

ToEnvironment: TypeAlias = Callable[[Array, Sequence[TaskParameters]], Array]
"""`(lanes, action_dim)` actions of the network and the lanes' tasks to what the environment takes."""

Features: TypeAlias = Callable[[Array, Sequence[TaskParameters]], Array]
"""`(lanes, observation_dim)` observations and the lanes' tasks to `(lanes, features)` network inputs, float64."""


@dataclass(frozen=True)
class TeacherNetwork:
    """A multilayer perceptron with tanh units: normalised features in, mean action out.

    Attributes:
        mean: `(features,)` subtracted from the features.
        deviation: `(features,)` they are divided by.
        weights: one `(in, out)` matrix a layer.
        biases: one `(out,)` vector a layer.
        noise: `(action_dim,)` standard deviation of the noise added to the mean action.
    """

    mean: Array
    deviation: Array
    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    noise: Array

    def __call__(self, features: Array) -> Array:
        """`(lanes, action_dim)` mean actions, not clipped."""
        hidden = np.clip((features - self.mean) / self.deviation, -10.0, 10.0)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            hidden = np.tanh(_multiply_in_order(hidden, weight) + bias)
        return np.asarray(_multiply_in_order(hidden, self.weights[-1]) + self.biases[-1])


def _multiply_in_order(rows: Array, matrix: Array) -> Array:
    """`rows @ matrix`, each sum in the order of its terms: `@` adds up in an order that depends on the other rows."""
    return np.asarray(np.einsum("li,io->lo", rows, matrix, optimize=False))


def read_network(path: Path, features: int, action_dim: int) -> TeacherNetwork:
    """Read a teacher's weights; raises `DataError` naming file, tensor and the expected shape."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = {name: value.astype(np.float64) for name, value in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: not a teacher's weights: {error}") from error
    layers = max(
        1, *(sum(name.startswith(kind) for name in tensors) for kind in ("weight_", "bias_"))
    )
    names = {
        "mean",
        "deviation",
        "noise",
        *(f"{kind}_{i}" for i in range(layers) for kind in ("weight", "bias")),
    }
    if missing := names - set(tensors):
        raise DataError(
            f"{path}: expected a tensor {min(missing)}, found {', '.join(sorted(tensors)) or 'none'}"
        )
    if surplus := set(tensors) - names:
        raise DataError(
            f"{path}: tensor {min(surplus)} is not part of a teacher, expected {', '.join(sorted(names))}"
        )
    width = features
    expected: dict[str, tuple[int, ...]] = {
        "mean": (features,),
        "deviation": (features,),
        "noise": (action_dim,),
    }
    for layer in range(layers):
        found = tensors[f"weight_{layer}"].shape
        out = action_dim if layer == layers - 1 or len(found) != 2 else found[1]
        expected |= {f"weight_{layer}": (width, out), f"bias_{layer}": (out,)}
        width = out
    for name, shape in expected.items():
        if tensors[name].shape != shape:
            raise DataError(f"{path}: {name} has shape {tensors[name].shape}, expected {shape}")
        if not np.isfinite(tensors[name]).all():
            raise DataError(f"{path}: {name} holds a number that is not finite")
    if (tensors["deviation"] <= 0.0).any():
        raise DataError(f"{path}: deviation holds a number that is not above zero")
    return TeacherNetwork(
        mean=tensors["mean"],
        deviation=tensors["deviation"],
        weights=tuple(tensors[f"weight_{layer}"] for layer in range(layers)),
        biases=tuple(tensors[f"bias_{layer}"] for layer in range(layers)),
        noise=tensors["noise"],
    )


class NetworkTeacher(Teacher):
    """Acts the network of each lane's behaviour, given its task, plus noise from the lane's seed."""

    behaviours = BEHAVIOURS

    def __init__(
        self,
        folder: Path,
        spaces: Spaces,
        features: Features,
        feature_size: int,
        to_environment: ToEnvironment = clip_to_unit,
    ) -> None:
        """Keep where the weights lie; they are read when a behaviour is first used."""
        self._folder, self._spaces = folder, spaces
        self._features, self._feature_size = features, feature_size
        self._to_environment = to_environment
        self._networks: dict[str, TeacherNetwork] = {}

    def reset(
        self, behaviours: Sequence[str], parameters: Sequence[TaskParameters], seeds: Sequence[int]
    ) -> None:
        """Draw each lane's noise for the whole episode from its own seed."""
        for name in sorted(set(behaviours)):
            if name not in BEHAVIOURS:
                raise UnknownNameError("teacher behaviour", name, BEHAVIOURS)
            if name not in self._networks:
                path = self._folder / f"{name}.safetensors"
                self._networks[name] = read_network(
                    path, self._feature_size, self._spaces.action_dim
                )
        self._lanes = {
            name: np.flatnonzero(np.array(behaviours) == name) for name in sorted(set(behaviours))
        }
        self._parameters = tuple(parameters)
        size = (self._spaces.horizon, self._spaces.action_dim)
        self._noise = np.stack(
            [np.random.default_rng(seed).standard_normal(size, np.float32) for seed in seeds]
        )
        self._timestep = 0

    def act(self, observation: Array) -> Array:
        """Mean actions plus noise, clipped to the bounds."""
        actions = self._mean_actions(observation)
        for name, lanes in self._lanes.items():
            actions[lanes] += self._networks[name].noise * self._noise[lanes, self._timestep]
        self._timestep += 1
        return self._to_environment(actions, self._parameters)

    def act_without_noise(self, observation: Array) -> Array:
        """Mean actions, clipped to the bounds."""
        return self._to_environment(self._mean_actions(observation), self._parameters)

    def _mean_actions(self, observation: Array) -> Array:
        """`(lanes, action_dim)`, not clipped."""
        features = self._features(np.asarray(observation, np.float64), self._parameters)
        actions = np.zeros((len(features), self._spaces.action_dim))
        for name, lanes in self._lanes.items():
            actions[lanes] = self._networks[name](features[lanes])
        return actions
