"""CSRO's loss: FOCAL's, and a bound of the information about state and action that codes carry."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from metabench import Spaces

from ..common.actor_critic.networks import make_layers
from ..common.task_inference.encoder import Context, ContextEncoder
from ..common.task_inference.objective import EncoderObjective, embed_whole, metric_loss
from .config import CsroConfig

SMALLEST_VARIANCE = 1e-3


class EmbeddingPredictor(nn.Module):
    """q(embedding | state, action): a Gaussian."""

    def __init__(self, spaces: Spaces, config: CsroConfig) -> None:
        """Make the layers."""
        super().__init__()
        inputs = spaces.observation_dim + spaces.action_dim
        self.layers = nn.Sequential(
            *make_layers(
                inputs, config.predictor_width, config.predictor_depth, 2 * config.code_dim
            )
        )

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Mean, within the embeddings' bounds, and variance, each `(..., code_dim)`."""
        mean, spread = self.layers(inputs).chunk(2, dim=-1)
        return torch.tanh(mean), functional.softplus(spread) + SMALLEST_VARIANCE


class InformationObjective(EncoderObjective):
    """The metric loss, and CLUB's upper bound of the information between embeddings and (state, action)."""

    def __init__(self, spaces: Spaces, config: CsroConfig) -> None:
        """Make the predictor."""
        super().__init__()
        self.predictor = EmbeddingPredictor(spaces, config)
        self.metric_weight = config.metric_weight
        self.information_weight = config.information_weight

    def compute_loss(
        self, encoder: ContextEncoder, context: Context
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """CSRO, eq. 9: the encoder's two losses, and the predictor's own, which reaches the predictor alone."""
        embeddings, codes = embed_whole(encoder, context)
        inputs = torch.cat([context.observations, context.actions], dim=-1)
        metric = metric_loss(codes, context.tasks)
        information = self.bound_information(embeddings, inputs)
        mean, variance = self.predictor(inputs)
        error = (embeddings.detach() - mean).square() / variance + variance.log()
        prediction_loss = 0.5 * error.sum(-1).mean()
        loss = self.metric_weight * metric + self.information_weight * information + prediction_loss
        info = {
            "metric_loss": metric,
            "information": information,
            "prediction_loss": prediction_loss,
        }
        return loss, {name: value.detach() for name, value in info.items()}

    def bound_information(self, embeddings: Tensor, inputs: Tensor) -> Tensor:
        """CLUB: how much better an embedding is predicted from its own state and action than from others of its task.

        Each is compared with one other, drawn anew: all pairs of a task's would take memory by the square.
        """
        frozen = {name: value.detach() for name, value in self.predictor.named_parameters()}
        mean, variance = functional_call(self.predictor, frozen, (inputs,))
        shift = int(torch.randint(1, max(2, embeddings.shape[1]), ()))
        others = embeddings.roll(shift, dims=1)
        own_error = (embeddings - mean).square() / variance
        other_error = (others - mean).square() / variance
        information: Tensor = (other_error - own_error).sum(-1).mean() / 2
        return information
