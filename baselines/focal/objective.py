"""FOCAL's loss: codes of one task near each other, of different tasks far apart."""

from __future__ import annotations

from torch import Tensor

from ..common.task_inference.encoder import Context, ContextEncoder
from ..common.task_inference.objective import EncoderObjective, embed_whole, metric_loss


class MetricObjective(EncoderObjective):
    """Distance metric learning on codes, and nothing else."""

    def __init__(self, weight: float) -> None:
        """Multiply the loss by `weight`."""
        super().__init__()
        self.weight = weight

    def compute_loss(
        self, encoder: ContextEncoder, context: Context
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The metric loss over all pairs of codes."""
        _, codes = embed_whole(encoder, context)
        loss = metric_loss(codes, context.tasks)
        return self.weight * loss, {"metric_loss": loss.detach()}
