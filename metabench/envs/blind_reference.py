"""A suite's blind policy on disk: the weights of a network, or one of the family's scripts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from metabench.envs.blind import BlindPolicy
from metabench.envs.family import TaskFamily
from metabench.envs.locomotion.network_teacher import TeacherNetwork, read_network
from metabench.envs.spaces import Array, Spaces
from metabench.errors import DataError

WEIGHTS, SCRIPT = "blind.safetensors", "blind.json"
"""Files of a suite's `references/`: it has one of them, or none."""


def read_blind(folder: Path, family: TaskFamily, horizon: int) -> BlindPolicy | None:
    """The blind policy that `folder` holds; None if it holds none.

    Raises:
        DataError: the file is damaged, or of other spaces; names it.
    """
    scripts = family.blind_scripts()
    path = folder / (WEIGHTS if scripts is None else SCRIPT)
    if not path.is_file():
        return None
    spaces = family.spaces(horizon)
    if scripts is None:
        return NetworkBlindPolicy(
            read_network(path, spaces.observation_dim, spaces.action_dim), spaces
        )
    try:
        return scripts.load(json.loads(path.read_text(encoding="utf-8")), horizon)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{path}: not a blind script: {error}") from error


def write_script(folder: Path, content: Mapping[str, Any]) -> Path:
    """Write one of a family's scripts where `read_blind` finds it; returns the file."""
    path = folder / SCRIPT
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


def scale_to_bounds(actions: Array, spaces: Spaces) -> Array:
    """A network's actions as the environment takes them: choices as they are, others from [-1, 1] to the bounds."""
    if spaces.discrete:
        return actions
    low, high = np.array(spaces.action_low), np.array(spaces.action_high)
    return np.asarray(low + (np.clip(actions, -1.0, 1.0) + 1.0) / 2.0 * (high - low))


class NetworkBlindPolicy(BlindPolicy):
    """Acts a network that sees the observation alone, with noise of the size that its weights name.

    Noise may be worth having: a choice that is drawn leaves a corner in which the likeliest one stays for ever.
    """

    def __init__(self, network: TeacherNetwork, spaces: Spaces) -> None:
        """Take a network of the sizes of `spaces`."""
        self._network, self._spaces = network, spaces

    def reset(self, seeds: Sequence[int]) -> None:
        """Draw each lane's noise for the whole episode from its own seed."""
        spaces = self._spaces
        size = (spaces.horizon, spaces.action_dim)
        generators = [np.random.default_rng(seed) for seed in seeds]
        # The largest of logits with Gumbel noise is a draw from their softmax.
        draws = [
            each.gumbel(size=size) if spaces.discrete else each.standard_normal(size)
            for each in generators
        ]
        self._noise = self._network.noise * np.stack(draws)
        self._timestep = 0

    def act(self, observation: Array) -> Array:
        """Mean actions, or logits of choices, plus noise."""
        outputs = (
            self._network(np.asarray(observation, np.float64)) + self._noise[:, self._timestep]
        )
        self._timestep += 1
        return (
            outputs.argmax(axis=-1)
            if self._spaces.discrete
            else scale_to_bounds(outputs, self._spaces)
        )
