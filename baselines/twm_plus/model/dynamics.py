"""The dynamics: steps as tokens through a Transformer-XL; heads for reward, discount and the next latent."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..config import WorldModelConfig
from .memory import Memory, Pinned
from .observation_model import Latents, initialise_kaiming, make_mlp
from .transformer import TransformerXL


@dataclass(frozen=True)
class HeadPrediction:
    """What the heads make of outputs at action tokens, `(..., width)`.

    Attributes:
        latent_logits: `(ensemble, ..., groups * classes)` of the next latent, a row a head.
        reward: `(...)` mean, transformed as the model's rewards are.
        discount_logit: `(...)` of the discount's Bernoulli distribution.
    """

    latent_logits: Tensor
    reward: Tensor
    discount_logit: Tensor


class HeadEnsemble(nn.Module):
    """Some MLPs of equal shape, computed together."""

    def __init__(
        self, heads: int, inputs: int, widths: Sequence[int], outputs: int, dropout: float
    ) -> None:
        """Make `heads` MLPs like `layers`, each from a draw of its own."""
        super().__init__()
        sizes = [inputs, *widths, outputs]
        self.weights, self.biases = (
            nn.ParameterList(),
            nn.ParameterList(),
        )  # (heads, in, out) and (heads, 1, out)
        for number, (before, after) in enumerate(itertools.pairwise(sizes)):
            drawn = [nn.Linear(before, after) for _ in range(heads)]
            for layer in drawn:
                initialise_kaiming(layer, linear=number == len(widths))
            self.weights.append(
                nn.Parameter(torch.stack([layer.weight.detach().T for layer in drawn]))
            )
            self.biases.append(nn.Parameter(torch.zeros(heads, 1, after)))
        self.dropout = nn.Dropout(dropout)

    def forward(self, inputs: Tensor) -> Tensor:
        """`(..., inputs)` to `(heads, ..., outputs)`."""
        hidden = inputs.flatten(0, -2).expand(len(self.weights[0]), -1, -1)
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if number:
                hidden = self.dropout(nn.functional.silu(hidden))
            hidden = torch.baddbmm(bias, hidden, weight)  # (heads, N, out)
        return torch.unflatten(hidden, 1, inputs.shape[:-1])


class Dynamics(nn.Module):
    """Predicts reward, discount and next latent of a step from its latent and action and all before.

    A step's tokens are its latent, action, reward and discount, in this order and as far as they are inputs; the
    prediction is read at the action's token.
    """

    def __init__(
        self, config: WorldModelConfig, latents: Latents, action_dim: int, discrete: bool
    ) -> None:
        """Make the network; discrete actions are one-hot and looked up, continuous ones mapped."""
        super().__init__()
        self.config, self.latents = config, latents
        width = config.width
        self.step_tokens = 2 + config.reward_input + config.discount_input
        self.embed_latent = _make_embedding(latents.size, width)
        # A table without bias; drawn as an embedding table is.
        self.embed_action = (
            nn.Linear(action_dim, width, bias=False)
            if discrete
            else _make_embedding(action_dim, width)
        )
        if discrete:
            nn.init.normal_(self.embed_action.weight)  # type: ignore[arg-type]
        if config.reward_input:
            self.embed_reward = _make_embedding(1, width)
        if config.discount_input:
            self.embed_discount = _make_embedding(1, width)
        self.transformer = TransformerXL(
            width,
            config.layers,
            config.heads,
            config.feedforward,
            config.dropout,
            config.memory,
            self.step_tokens,
            head_scale=config.attention_scale == "head",
            across_episodes=config.attend_across_episodes,
        )
        self.latent_heads = HeadEnsemble(
            config.ensemble, width, config.latent_head_widths, latents.size, config.dropout
        )
        self.reward_head = make_mlp(width, config.reward_head_widths, 1, config.dropout)
        self.discount_head = make_mlp(width, config.discount_head_widths, 1, config.dropout)
        # A logit: the released code's 0.99 makes the head begin at 0.73.
        nn.init.constant_(self.discount_head[-1].bias, config.discount_bias)  # type: ignore[arg-type]
        self.reward_map = nn.Linear(width, config.reward_map) if config.reward_map else None

    def embed_latents(self, latents: Tensor) -> Tensor:
        """Tokens `(..., width)` of latents `(..., size)`."""
        tokens: Tensor = self.embed_latent(latents)
        return tokens

    def embed_actions(self, actions: Tensor) -> Tensor:
        """Tokens `(..., width)` of action features `(..., action_dim)`."""
        tokens: Tensor = self.embed_action(actions)
        return tokens

    def embed_outcomes(self, rewards: Tensor, discounts: Tensor) -> list[Tensor]:
        """Tokens of transformed rewards `(...)` and of discounts `(...)`, as far as they are inputs."""
        tokens = []
        if self.config.reward_input:
            tokens.append(self.embed_reward(rewards[..., None]))
        if self.config.discount_input:
            tokens.append(self.embed_discount(discounts[..., None]))
        return tokens

    def embed_steps(
        self, latents: Tensor, actions: Tensor, rewards: Tensor, discounts: Tensor
    ) -> Tensor:
        """All tokens of `(B, T, ...)` steps: `(B, T * step_tokens, width)`."""
        parts = [
            self.embed_latents(latents),
            self.embed_actions(actions),
            *self.embed_outcomes(rewards, discounts),
        ]
        return torch.stack(parts, dim=2).flatten(1, 2)

    def forward(
        self,
        tokens: Tensor,
        episodes: Tensor,
        pinned: Pinned | None = None,
        memory: Memory | None = None,
    ) -> Tensor:
        """Outputs `(B, T, 2, width)` at the latent and action tokens of `tokens` of whole steps.

        Args:
            tokens: what `tokens` returns, or that without the outcomes of the last step.
            episodes: `(B, T)` int64 episode of each step; -1 for padding.
            pinned: support.
            memory: steps before these, to which these are added.
        """
        count = tokens.shape[1]
        each = episodes.repeat_interleave(self.step_tokens, dim=1)[
            :, :count
        ]  # (B, tokens): the last step may be cut
        hidden: Tensor = self.transformer(tokens, each, memory=memory, pinned=pinned)
        return torch.stack(
            [hidden[:, :: self.step_tokens], hidden[:, 1 :: self.step_tokens]], dim=2
        )

    def read_at_latents(
        self, tokens: Tensor, episodes: Tensor, pinned: Pinned | None, memory: Memory
    ) -> Tensor:
        """Outputs `(B, T, width)` at the latent tokens only; all tokens are added to `memory`."""
        each = episodes.repeat_interleave(self.step_tokens, dim=1)[:, : tokens.shape[1]]
        rows = slice(None, None, self.step_tokens)
        hidden: Tensor = self.transformer(tokens, each, rows, memory, pinned)
        return hidden

    def read_at_actions(
        self, tokens: Tensor, episodes: Tensor, pinned: Pinned | None = None
    ) -> Tensor:
        """Outputs `(B, T, width)` at the action tokens only."""
        each = episodes.repeat_interleave(self.step_tokens, dim=1)[:, : tokens.shape[1]]
        hidden: Tensor = self.transformer(
            tokens, each, rows=slice(1, None, self.step_tokens), pinned=pinned
        )
        return hidden

    def predict(self, hidden: Tensor) -> HeadPrediction:
        """Apply all heads to outputs at action tokens, `(..., width)`."""
        active = nn.functional.silu(
            hidden
        )  # the transformer ends in a layer norm, without an activation
        return HeadPrediction(
            latent_logits=self.latent_heads(active),
            reward=self.reward_head(active)[..., 0],
            discount_logit=self.discount_head(active)[..., 0],
        )

    def tell_reward_map(self, hidden: Tensor) -> Tensor:
        """Rewards `(..., anchors)` of the anchors in the task at hand, as outputs `(..., width)` at any tokens tell."""
        assert self.reward_map is not None
        told: Tensor = self.reward_map(nn.functional.layer_norm(hidden, hidden.shape[-1:]))
        return told

    def predict_discount(self, prediction: HeadPrediction) -> Tensor:
        """Predicted discounts `(...)`, in [0, 1]."""
        probability = prediction.discount_logit.sigmoid()
        return (
            probability
            if self.config.discount_target == "soft"
            else self.config.discount * probability
        )


def _make_embedding(inputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(initialise_kaiming(nn.Linear(inputs, width)), nn.SiLU())
