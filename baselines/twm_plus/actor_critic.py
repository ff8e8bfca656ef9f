"""Actor and critic: what they see, how actions are drawn from them, and how likely actions are under them."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import signal
from torch import Tensor, nn

from metabench import Spaces, TrainingData

from .config import TWMConfig

LOG_DEVIATION = (-5.0, 2.0)
"""Bounds of the logarithm of the standard deviation of continuous actions, before the bounds."""

LAST_REWARDS = 5
"""What an episode that was cut goes on with is the mean of so many last rewards."""

LARGEST_ACTION = 0.99
"""Logged actions are taken to lie within where they are squashed; the likelihood of those on the bounds is zero."""


def _make_orthogonal_mlp(inputs: int, widths: tuple[int, ...], outputs: int) -> nn.Sequential:
    network: list[nn.Module] = []
    for width in widths:
        network += [_make_orthogonal_layer(inputs, width, math.sqrt(2.0)), nn.SiLU()]
        inputs = width
    return nn.Sequential(*network, _make_orthogonal_layer(inputs, outputs, 1.0))


def _make_orthogonal_layer(inputs: int, outputs: int, gain: float) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


class ActorCritic(nn.Module):
    """Two MLPs on the latent and, if configured, the transformer's output at its token."""

    def __init__(self, config: TWMConfig, spaces: Spaces) -> None:
        """Make both."""
        super().__init__()
        self.reads_hidden = config.policy_input == "latent-and-hidden"
        self.squashed = config.continuous_actions == "squashed"
        self.latent_size = config.latent_groups * config.latent_classes
        self.discrete, self.action_dim, self.discount = (
            spaces.discrete,
            spaces.action_dim,
            config.discount,
        )
        inputs = self.latent_size + (config.width if self.reads_hidden else 0)
        outputs = spaces.action_dim if spaces.discrete else 2 * spaces.action_dim
        self.actor = _make_orthogonal_mlp(inputs, config.actor_widths, outputs)
        self.critic = _make_orthogonal_mlp(inputs, config.critic_widths, 1)
        self.behaviour: nn.Sequential | None = None
        if config.anchor == "behaviour-policy":
            self.behaviour = _make_orthogonal_mlp(self.latent_size, config.actor_widths, outputs)
        self.register_buffer("value_mean", torch.zeros(()))
        self.register_buffer("value_scale", torch.ones(()))

    def measure(self, data: TrainingData, reward_scale: float) -> None:
        """Take mean and deviation of discounted returns from training data: the critic predicts in these units.

        Episodes that were cut go on for ever with the mean of their last rewards.
        """
        rewards = data.columns.rewards.astype(np.float64) / reward_scale
        offsets, terminated = data.columns.offsets, data.columns.terminated
        factor = self.discount / (1.0 - self.discount)
        returns = [
            signal.lfilter(
                [1.0],
                [1.0, -self.discount],
                rewards[a:b][::-1],
                zi=[0.0 if over else factor * rewards[max(a, b - LAST_REWARDS) : b].mean()],
            )[0]
            for a, b, over in zip(offsets[:-1], offsets[1:], terminated, strict=True)
        ]
        together = np.concatenate(returns)
        self.get_buffer("value_mean").fill_(float(together.mean()))
        self.get_buffer("value_scale").fill_(max(float(together.std()), 1e-3))

    def make_features(self, latents: Tensor, hidden: Tensor) -> Tensor:
        """What both read: latents `(..., size)`, beside layer-normed outputs `(..., width)` if configured."""
        if not self.reads_hidden:
            return latents
        return torch.cat([latents, nn.functional.layer_norm(hidden, hidden.shape[-1:])], dim=-1)

    def values(self, features: Tensor) -> Tensor:
        """Values `(...)`."""
        values: Tensor = self.critic(features)[..., 0] * self.get_buffer(
            "value_scale"
        ) + self.get_buffer("value_mean")
        return values

    def act(self, features: Tensor, noise: Tensor | None) -> tuple[Tensor, Tensor]:
        """Choose actions.

        Args:
            features: `(..., inputs)`.
            noise: what `noise` returns, or None for the mode.

        Returns:
            Action features `(..., action_dim)`, and the actions that `likelihood` takes (before the bounds).
        """
        output = self.actor(features)
        if self.discrete:
            scores = output if noise is None else output + noise
            chosen = nn.functional.one_hot(scores.argmax(dim=-1), self.action_dim).to(output.dtype)
            return chosen, chosen
        mean, log_deviation = self._gaussian(output)
        raw = mean if noise is None else mean + log_deviation.exp() * noise
        return raw.tanh() if self.squashed else raw.clamp(-1.0, 1.0), raw

    def draw_noise(
        self, shape: tuple[int, ...], generator: torch.Generator | None = None
    ) -> Tensor:
        """Noise `(*shape, action_dim)` with which `act` samples: Gumbel for discrete actions, else Gaussian."""
        like = next(self.actor.parameters())
        noise = torch.empty(*shape, self.action_dim, dtype=like.dtype, device=like.device)
        return (
            -noise.exponential_(generator=generator).log()
            if self.discrete
            else noise.normal_(generator=generator)
        )

    def likelihood(self, features: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Log-likelihoods `(...)` of actions before the bounds, and entropies.

        Entropies are divided by the largest possible (discrete), or the Gaussian's per coordinate (continuous).
        """
        return self.likelihood_under(self.actor(features), raw)

    def behaviour_likelihood(self, latents: Tensor, raw: Tensor) -> Tensor:
        """Log-likelihoods `(...)` of actions under the behaviour policy, which sees latents alone."""
        assert self.behaviour is not None
        return self.likelihood_under(self.behaviour(latents), raw)[0]

    def divergence(self, features: Tensor) -> Tensor:
        """Kullback-Leibler divergence `(...)` of the actor from the behaviour policy, before the bounds."""
        return self.divergence_of(self.actor(features), features)

    def divergence_of(self, output: Tensor, features: Tensor) -> Tensor:
        """The same from what the actor made of `features`."""
        assert self.behaviour is not None
        with torch.no_grad():
            towards = self.behaviour(features[..., : self.latent_size])
        if self.discrete:
            logs = output.log_softmax(dim=-1)
            differences: Tensor = logs.exp() * (logs - towards.log_softmax(dim=-1))
            return differences.sum(dim=-1)
        (mean, log_deviation), (centre, log_width) = self._gaussian(output), self._gaussian(towards)
        squares = ((2 * log_deviation).exp() + (mean - centre).square()) / (
            2 * (2 * log_width).exp()
        )
        divergence: Tensor = log_width - log_deviation + squares - 0.5
        return divergence.sum(dim=-1)

    def likelihood_under(self, output: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        """What `likelihood` returns, from what the actor made of the features."""
        if self.discrete:
            logs = output.log_softmax(dim=-1)
            return (logs * raw).sum(dim=-1), -(logs.exp() * logs).sum(dim=-1) / math.log(
                max(2, self.action_dim)
            )
        mean, log_deviation = self._gaussian(output)
        normal = (
            -0.5 * ((raw - mean) / log_deviation.exp()).square()
            - log_deviation
            - 0.5 * math.log(2 * math.pi)
        )
        if self.squashed:
            # log(1 - tanh(raw)^2), the squashing's volume, in a form that does not overflow.
            normal = normal - 2.0 * (math.log(2.0) - raw - nn.functional.softplus(-2.0 * raw))
        entropy = log_deviation.mean(dim=-1) + 0.5 * math.log(2 * math.pi * math.e)
        return normal.sum(dim=-1), entropy

    def to_raw_actions(self, actions: Tensor) -> Tensor:
        """Logged action features as `likelihood` takes them."""
        if self.discrete or not self.squashed:
            return actions
        return actions.clamp(-LARGEST_ACTION, LARGEST_ACTION).atanh()

    @property
    def coordinates(self) -> int:
        """Over how many coordinates of an action likelihoods and divergences are summed."""
        return 1 if self.discrete else self.action_dim

    @staticmethod
    def _gaussian(output: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_deviation = output.chunk(2, dim=-1)
        return mean, log_deviation.clamp(*LOG_DEVIATION)
