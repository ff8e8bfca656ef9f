"""UNICORN's loss: the code shall tell what actions lead to, and a little of FOCAL's distances."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from metabench import Spaces

from ..common.task_inference.encoder import Context, ContextEncoder
from ..common.task_inference.objective import EncoderObjective, embed_whole, metric_loss
from .config import UnicornConfig
from .model import OutcomeDecoder


class ReconstructionObjective(EncoderObjective):
    """Likelihood of change and reward given state, action and code, and the weighted metric loss."""

    def __init__(self, spaces: Spaces, config: UnicornConfig) -> None:
        """Make the decoders."""
        super().__init__()
        self.decoder = OutcomeDecoder(spaces, config.code_dim, config.decoder_width)
        self.metric_weight = config.metric_weight
        self.relabelled = config.relabelled

    def compute_loss(
        self, encoder: ContextEncoder, context: Context
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """UNICORN-SS, eq. 12: beta times FOCAL's loss, and the negative log-likelihoods of the context's outcomes."""
        seen = self.relabel(encoder, context) if self.relabelled else context
        _, codes = embed_whole(encoder, seen)
        likelihoods = self.measure_likelihoods(context, codes)
        metric = metric_loss(codes, context.tasks)
        loss = self.metric_weight * metric - likelihoods["change"] - likelihoods["reward"]
        info = {f"{name}_likelihood": value.detach() for name, value in likelihoods.items()}
        return loss, info | {"metric_loss": metric.detach()}

    def measure_likelihoods(self, context: Context, codes: Tensor) -> dict[str, Tensor]:
        """Mean log-likelihoods, without their constants, of the context's changes and rewards given `(B, code_dim)`."""
        outcomes = self.decoder(_join(context, codes))
        found = {}
        for name, (mean, log_variance), outcome in zip(
            ("change", "reward"), outcomes, (context.changes, context.rewards), strict=True
        ):
            error = (outcome - mean).square() * (-log_variance).exp() + log_variance
            found[name] = -error.mean()
        return found

    @torch.no_grad()
    def relabel(self, encoder: ContextEncoder, context: Context) -> Context:
        """Contexts with a share of other tasks' states and actions, whose outcomes are what they would be here."""
        _, codes = embed_whole(encoder, context)
        other = torch.roll(torch.arange(len(codes), device=codes.device), 1)
        pseudo = replace(
            context, observations=context.observations[other], actions=context.actions[other]
        )
        (changes, _), (rewards, _) = self.decoder(_join(pseudo, codes))
        chosen = torch.rand_like(context.weights).unsqueeze(-1) < self.relabelled  # (B, N, 1)
        return replace(
            context,
            observations=torch.where(chosen, pseudo.observations, context.observations),
            actions=torch.where(chosen, pseudo.actions, context.actions),
            changes=torch.where(chosen, changes, context.changes),
            rewards=torch.where(chosen, rewards, context.rewards),
        )


def _join(context: Context, codes: Tensor) -> Tensor:
    """`(B, N, observation_dim + action_dim + code_dim)`."""
    code = codes.unsqueeze(1).expand(-1, context.weights.shape[1], -1)
    return torch.cat([context.observations, context.actions, code], dim=-1)
