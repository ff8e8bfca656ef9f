"""CORRO's loss: a transition is nearer to another of its task than to what its action led to elsewhere."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from metabench import Spaces

from ..common.task_inference.encoder import Context, ContextEncoder
from ..common.task_inference.objective import EncoderObjective
from .config import CorroConfig
from .model import OutcomeGenerator


class ContrastiveObjective(EncoderObjective):
    """InfoNCE with negatives of the query's own state and action; the generator of negatives learns beside it."""

    def __init__(self, spaces: Spaces, config: CorroConfig) -> None:
        """Make the generator."""
        super().__init__()
        self.config = config
        self.observation_dim = spaces.observation_dim
        self.generator = OutcomeGenerator(spaces, config)

    def compute_loss(
        self, encoder: ContextEncoder, context: Context
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """CORRO, eq. 6: one query a task and update would be noisy, so half of each context are queries."""
        config = self.config
        asked = torch.cat([context.observations, context.actions], dim=-1)
        outcome = torch.cat([context.changes, context.rewards], dim=-1)
        generator_loss = self.generator.measure_loss(
            asked.flatten(0, 1), outcome.flatten(0, 1), config.divergence_weight_of_generator
        )
        embeddings = functional.normalize(encoder.embed(context), dim=-1)  # (B, N, code_dim)
        positives = embeddings.roll(1, dims=1)  # another transition of the task
        negatives = functional.normalize(self.embed_negatives(encoder, context, asked), dim=-1)
        near = (embeddings * positives).sum(-1, keepdim=True)  # (B, N, 1)
        far = torch.einsum("bnk,bnmk->bnm", embeddings, negatives)
        scores = torch.cat([near, far], dim=-1) / config.contrast
        contrastive_loss = -scores.log_softmax(-1)[..., 0].mean()
        info = {"contrastive_loss": contrastive_loss, "generator_loss": generator_loss}
        return contrastive_loss + generator_loss, {
            name: loss.detach() for name, loss in info.items()
        }

    def embed_negatives(self, encoder: ContextEncoder, context: Context, asked: Tensor) -> Tensor:
        """`(B, N, negatives, code_dim)` embeddings of each query's state and action with other outcomes."""
        count = self.config.negative_count
        repeated = asked.unsqueeze(2).expand(-1, -1, count, -1)
        if self.config.negatives == "generated":
            outcomes = self.generator.draw(repeated)
            changes, rewards = outcomes[..., :-1], outcomes[..., -1:]
        else:
            changes = context.changes.unsqueeze(2).expand(-1, -1, count, -1)
            rewards = context.rewards.unsqueeze(2).expand(-1, -1, count, -1)
            rewards = rewards + self.config.reward_noise * torch.randn_like(rewards)
        observations, actions = (
            repeated[..., : self.observation_dim],
            repeated[..., self.observation_dim :],
        )
        embeddings: Tensor = encoder(observations, actions, rewards, changes)
        return embeddings
