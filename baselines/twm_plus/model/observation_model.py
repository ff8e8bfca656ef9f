"""The observation model: observations to categorical latents and back."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from metabench import DataError

from ..config import WorldModelConfig

FRAMES = (4, 64, 64)
"""Shape of a stack of grey frames."""

_CHANNELS = (4, 48, 96, 192, 384)


def make_mlp(
    inputs: int, widths: Sequence[int], outputs: int, dropout: float = 0.0
) -> nn.Sequential:
    """An MLP with SiLU: Kaiming-uniform weights (gain of ReLU, of a linear layer for the last one), zero biases."""
    return nn.Sequential(*_list_layers(inputs, widths, outputs, dropout))


def _list_layers(
    inputs: int, widths: Sequence[int], outputs: int, dropout: float
) -> Iterator[nn.Module]:
    for width in widths:
        yield initialise_kaiming(nn.Linear(inputs, width))
        yield nn.SiLU()
        if dropout:
            yield nn.Dropout(dropout)
        inputs = width
    yield initialise_kaiming(nn.Linear(inputs, outputs), linear=True)


def initialise_kaiming(
    layer: nn.Linear | nn.Conv2d | nn.ConvTranspose2d, linear: bool = False
) -> nn.Module:
    """Initialise a layer; `linear` where no SiLU follows."""
    nn.init.kaiming_uniform_(layer.weight, nonlinearity="linear" if linear else "relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class Latents:
    """Products of `groups` categorical variables with `classes` classes, as flat vectors `(..., groups * classes)`.

    Classes are normalised along columns: PyTorch takes rows shorter than a vector register one by one, up to eight
    times as slowly.
    """

    def __init__(self, groups: int, classes: int) -> None:
        """Keep the sizes."""
        self.groups, self.classes, self.size = groups, classes, groups * classes

    def split(self, flat: Tensor) -> Tensor:
        """`(..., size)` to `(..., groups, classes)`."""
        return torch.unflatten(flat, -1, (self.groups, self.classes))

    def probabilities(self, logits: Tensor) -> Tensor:
        """Flat probabilities of flat logits."""
        return self.split(logits).mT.softmax(dim=-2).mT.flatten(-2)

    def log_probabilities(self, logits: Tensor) -> Tensor:
        """Flat log-probabilities of flat logits."""
        return self.split(logits).mT.log_softmax(dim=-2).mT.flatten(-2)

    def sample(self, logits: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """One-hot samples; their gradient is that of the probabilities (straight-through)."""
        probabilities = self.split(self.probabilities(logits))
        summed = probabilities.detach().cumsum(dim=-1)
        # The inverse of the cumulative sum; scaled by its last value, which rounding may have left below 1.
        uniform = torch.rand(
            *summed.shape[:-1], 1, generator=generator, dtype=summed.dtype, device=summed.device
        )
        chosen = (summed < uniform * summed[..., -1:]).sum(dim=-1)
        drawn = nn.functional.one_hot(chosen, self.classes).to(logits.dtype)
        if (
            logits.requires_grad
        ):  # straight-through: the value of the sample, the gradient of the probabilities
            drawn = drawn + probabilities - probabilities.detach()
        return drawn.flatten(-2)

    def mode(self, logits: Tensor) -> Tensor:
        """The most likely one-hot vectors."""
        chosen = self.split(logits).argmax(dim=-1)
        return nn.functional.one_hot(chosen, self.classes).to(logits.dtype).flatten(-2)

    def entropy(self, logits: Tensor) -> Tensor:
        """Entropies `(...)`, divided by the largest possible."""
        logs = self.log_probabilities(logits)
        return -(logs.exp() * logs).sum(dim=-1) / (self.groups * math.log(self.classes))


class ObservationModel(nn.Module):
    """Encoder and decoder, with a convolutional front for frames and an MLP for standardised vectors."""

    def __init__(self, config: WorldModelConfig, observation_dim: int) -> None:
        """Make the layers; `observation_dim` counts the values of an observation.

        Raises:
            DataError: the configuration asks for frames and observations have another number of values.
        """
        super().__init__()
        self.config, self.observation_dim = config, observation_dim
        self.latents = Latents(config.latent_groups, config.latent_classes)
        widths = config.observation_widths
        self.register_buffer("mean", torch.zeros(observation_dim))
        self.register_buffer("deviation", torch.ones(observation_dim))
        if config.front == "vector":
            self.encoder = make_mlp(observation_dim, widths, self.latents.size)
            self.decoder = make_mlp(self.latents.size, widths[::-1], observation_dim)
            return
        if observation_dim != math.prod(FRAMES):
            raise DataError(
                f"observations of {observation_dim} values, expected {math.prod(FRAMES)} for frames {FRAMES}; "
                "take front = 'vector' for vectors"
            )
        convolutions: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(_CHANNELS):
            convolutions += [initialise_kaiming(nn.Conv2d(inputs, outputs, 4, stride=2)), nn.SiLU()]
        self.encoder = nn.Sequential(
            *convolutions, nn.Flatten(), *make_mlp(_CHANNELS[-1] * 4, widths, self.latents.size)
        )
        self.decoder = nn.Sequential(
            initialise_kaiming(nn.Linear(self.latents.size, 2 * _CHANNELS[-1])),
            nn.SiLU(),
            nn.Unflatten(1, (2 * _CHANNELS[-1], 1, 1)),
            nn.ConvTranspose2d(2 * _CHANNELS[-1], 192, 5, stride=2),
            nn.SiLU(),
            nn.ConvTranspose2d(192, 96, 5, stride=2),
            nn.SiLU(),
            nn.ConvTranspose2d(96, 48, 6, stride=2),
            nn.SiLU(),
            nn.ConvTranspose2d(48, FRAMES[0], 6, stride=2),
        )
        if config.decoder_initialisation == "intended":
            transposed = [layer for layer in self.decoder if isinstance(layer, nn.ConvTranspose2d)]
            for layer in transposed:
                initialise_kaiming(layer, linear=layer is transposed[-1])
            nn.init.constant_(_get_bias(transposed[-1]), 0.5)

    def scale(self, observations: Tensor) -> Tensor:
        """What the encoder reads and the decoder predicts: standardised vectors, or frames in [0, 1].

        Args:
            observations: `(..., observation_dim)` vectors, or `(..., 4, 64, 64)` frames, bytes or floats in [0, 1];
                frames may be flat.

        Raises:
            DataError: the observations have another shape.
        """
        if self.config.front == "vector":
            if observations.shape[-1] != self.observation_dim:
                raise DataError(
                    f"observations of shape {tuple(observations.shape)}, expected (..., {self.observation_dim})"
                )
            return (observations - self.get_buffer("mean")) / self.get_buffer("deviation")
        if observations.shape[-1:] == (self.observation_dim,):
            observations = torch.unflatten(observations, -1, FRAMES)
        if observations.shape[-3:] != FRAMES:
            raise DataError(
                f"frames of shape {tuple(observations.shape)}, expected (..., 4, 64, 64)"
            )
        return observations / 255.0 if observations.dtype == torch.uint8 else observations

    def encode(self, observations: Tensor) -> Tensor:
        """Logits `(..., size)` of the latents of `scaled` observations."""
        return self._apply_to_leading_axes(self.encoder, observations, self._value_axes)

    def decode(self, latents: Tensor) -> Tensor:
        """Mean `scaled` observations of latents `(..., size)`."""
        return self._apply_to_leading_axes(self.decoder, latents, 1)

    def reconstruction_loss(self, observations: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Decoder and entropy losses of `scaled` observations, and the encoder's logits.

        The Gaussians have unit variance; their constant is left out.
        """
        logits = self.encode(observations)
        decoded = self.decode(self.latents.sample(logits))
        errors = 0.5 * (decoded - observations).square().flatten(-self._value_axes)
        decoder = (
            errors.sum(dim=-1) if self.config.decoder_reduction == "sum" else errors.mean(dim=-1)
        )
        entropy = self.latents.entropy(logits).mean()
        if self.config.entropy_form == "hinge":
            regulariser = (self.config.entropy_threshold - entropy).clamp(min=0.0)
        else:
            regulariser = -entropy
        return (
            self.config.decoder_weight * decoder.mean(),
            self.config.entropy_weight * regulariser,
            logits,
        )

    @property
    def _value_axes(self) -> int:
        return 1 if self.config.front == "vector" else 3

    @staticmethod
    def _apply_to_leading_axes(network: nn.Module, values: Tensor, axes: int) -> Tensor:
        """`network`, which takes one leading axis, on any leading axes."""
        leading = values.shape[:-axes]
        output: Tensor = network(values.flatten(0, len(leading) - 1))
        return torch.unflatten(output, 0, leading)


def _get_bias(layer: nn.ConvTranspose2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias
