"""Weights in the form in which the released code keeps them: a file of `torch.save`, of which nothing is run.

How the released modules are called is not relied on, beyond what PyTorch itself calls the parts of an attention layer.
What a matrix is for follows from its shape and its place: an encoder is five layers from some inputs to a quarter of a
token, a decoder four layers without biases. The encoder of actions stands beside that of states before a step, that of
one reward beside that of states after it.
"""

from __future__ import annotations

import itertools
import pickle
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from metabench import DataError

from .config import PublishedWorldModelConfig
from .model import PublishedWorldModel

ATTENTION = "self_attn.in_proj_weight"
"""What the name of an attention layer's first matrix ends with."""

ENCODER_LAYERS, DECODER_LAYERS = 5, 4


@dataclass(frozen=True)
class Network:
    """An encoder or a decoder in a file.

    Attributes:
        names: its matrices, first to last.
        inputs: how many numbers go in.
        outputs: how many come out.
    """

    names: tuple[str, ...]
    inputs: int
    outputs: int


def load_released_checkpoint(path: Path, heads: int = 4) -> PublishedWorldModel:
    """The released model, ready to predict.

    Args:
        path: the file, such as `exp_seed_1.pt`.
        heads: attention heads, of which shapes say nothing: the released training has 4, its evaluation 8.

    Raises:
        DataError: the file is missing, damaged, holds other things than tensors and plain values, or another network.
    """
    try:
        # Restricted: tensors and plain containers only; a file that wants to run something is refused.
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise DataError(
            f"{path}: not a file of weights: {' '.join(str(error).split()):.200}"
        ) from error
    try:
        found = _find_tensors(content)
        config, weights = _translate(found, heads)
        with torch.random.fork_rng(devices=[]):  # the initial weights are replaced at once
            model = PublishedWorldModel(config)
        model.load_state_dict(weights)
    except (KeyError, RuntimeError, ValueError) as error:
        raise DataError(
            f"{path}: not weights of the released one-shot world model: "
            f"{' '.join(str(error).split()):.200}"
        ) from error
    return model.eval()


def _find_tensors(content: object) -> dict[str, Tensor]:
    """The first dictionary of names and tensors in a file, which may hold an optimiser and settings besides."""
    candidates = [content]
    while candidates:
        each = candidates.pop(0)
        if isinstance(each, Mapping):
            if each and all(isinstance(value, Tensor) for value in each.values()):
                return {str(key): value for key, value in each.items() if value.is_floating_point()}
            candidates += list(each.values())
        elif isinstance(each, list | tuple):
            candidates += list(each)
    raise ValueError("expected a dictionary of tensors, found none")


def _translate(
    found: Mapping[str, Tensor], heads: int
) -> tuple[PublishedWorldModelConfig, dict[str, Tensor]]:
    """Configuration and weights under our names."""
    layers = sorted((key for key in found if key.endswith(ATTENTION)), key=_number_of)
    if not layers:
        raise ValueError(f"expected attention layers, whose names end with {ATTENTION!r}")
    width = found[layers[0]].shape[1]
    trunk = [key.removesuffix(ATTENTION) for key in layers]
    others = {key: value for key, value in found.items() if not key.startswith(tuple(trunk))}
    networks = list(_find_networks(others, width))
    roles = _tell_roles(networks, width)
    config = PublishedWorldModelConfig(
        state_slots=roles["read_state"].inputs,
        action_slots=roles["read_action"].inputs,
        width=width,
        layers=len(layers),
        heads=heads,
    )
    weights: dict[str, Tensor] = {}
    for number, prefix in enumerate(trunk):
        weights |= _translate_layer(found, prefix, f"layers.{number}", width)
    for role, network in roles.items():
        parts = ("first", *(f"hidden.{i}" for i in range(len(network.names) - 2)), "last")
        for part, name in zip(parts, network.names, strict=True):
            weights[f"{role}.{part}.weight"] = found[name]
            if role.startswith("read"):
                weights[f"{role}.{part}.bias"] = found[_bias_of(name)]
    return config, weights


def _translate_layer(
    found: Mapping[str, Tensor], prefix: str, name: str, width: int
) -> dict[str, Tensor]:
    """PyTorch keeps queries, keys and values in one matrix."""
    weights: dict[str, Tensor] = {}
    for kind in ("weight", "bias"):
        together = found[f"{prefix}self_attn.in_proj_{kind}"]
        weights[f"{name}.ask.{kind}"] = together[:width]
        weights[f"{name}.answer.{kind}"] = together[width:]
        for ours, theirs in (
            ("out", "self_attn.out_proj"),
            ("widen", "linear1"),
            ("narrow", "linear2"),
            ("norm", "norm1"),
            ("second_norm", "norm2"),
        ):
            weights[f"{name}.{ours}.{kind}"] = found[f"{prefix}{theirs}.{kind}"]
    return weights


def _find_networks(others: Mapping[str, Tensor], width: int) -> Iterator[Network]:
    """Encoders and decoders: runs of matrices, each of which takes what the one before it gives."""
    matrices = [key for key, value in others.items() if value.ndim == 2]
    while matrices:
        has_bias = _bias_of(matrices[0]) in others
        count = ENCODER_LAYERS if has_bias else DECODER_LAYERS
        names, matrices = tuple(matrices[:count]), matrices[count:]
        shapes = [tuple(others[name].shape) for name in names]
        inner = width if has_bias else width // 8
        first, last = shapes[0][1], shapes[-1][0]
        expected = [(inner, first), *[(inner, inner)] * (count - 2), (last, inner)]
        if shapes != expected:
            raise ValueError(f"{names[0]}: expected matrices of shapes {expected}, found {shapes}")
        yield Network(names, first, last)


def _tell_roles(networks: list[Network], width: int) -> dict[str, Network]:
    """Which network is which."""
    encoders = [each for each in networks if each.inputs != width]
    decoders = [each for each in networks if each.inputs == width]
    if len(encoders) != 4 or len(decoders) != 2:
        raise ValueError(
            f"expected 4 encoders and 2 decoders, found {len(encoders)} and {len(decoders)}"
        )
    states = max(each.inputs for each in encoders)
    of_states = [each for each in encoders if each.inputs == states]
    reward = min(encoders, key=lambda each: each.inputs)
    left = [each for each in encoders if each not in of_states and each is not reward]
    if len(of_states) != 2 or reward.inputs != 1 or len(left) != 1:
        raise ValueError(
            "expected encoders of states, twice, of actions and of one reward, found inputs "
            f"{[each.inputs for each in encoders]}"
        )
    action = left[0]
    before = max(of_states, key=lambda each: _kinship(each, action))
    after = next(each for each in of_states if each is not before)
    decoders.sort(key=lambda each: -each.outputs)
    return {
        "read_state": before,
        "read_action": action,
        "read_next_state": after,
        "read_reward": reward,
        "predict_state": decoders[0],
        "predict_reward": decoders[1],
    }


def _kinship(one: Network, other: Network) -> int:
    """How many modules two networks lie in together; where it is none, the order in the file decides."""
    parts = (each.names[0].split(".") for each in (one, other))
    return sum(
        1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(*parts, strict=False))
    )


def _bias_of(name: str) -> str:
    return f"{name.removesuffix('weight')}bias"


def _number_of(name: str) -> int:
    """The number of a layer, the last in its name."""
    numbers = re.findall(r"\d+", name)
    return int(numbers[-1]) if numbers else 0
