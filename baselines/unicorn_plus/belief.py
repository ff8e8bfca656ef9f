"""A belief over codes: how likely each of them makes what was seen, by the decoders."""

from __future__ import annotations

import torch
from torch import Tensor

from ..unicorn.model import OutcomeDecoder


def measure_likelihoods(
    decoder: OutcomeDecoder, seen: Tensor, outcomes: tuple[Tensor, Tensor], codes: Tensor
) -> Tensor:
    """Log-likelihoods `(..., C)` of N transitions under each of C codes, without constants.

    A change counts as one outcome however many coordinates it has, and a reward as one: so they count in training.

    Args:
        decoder: gives Gaussians of change and reward.
        seen: `(..., observation_dim + action_dim)` scaled observations and actions.
        outcomes: `(..., observation_dim)` scaled changes and `(..., 1)` scaled rewards.
        codes: `(..., C, code_dim)`.
    """
    count = codes.shape[-2]
    inputs = torch.cat([seen.unsqueeze(-2).expand(*seen.shape[:-1], count, -1), codes], dim=-1)
    total = torch.zeros(codes.shape[:-1], device=codes.device)
    for (mean, log_variance), outcome in zip(decoder(inputs), outcomes, strict=True):
        error = (outcome.unsqueeze(-2) - mean).square() * (-log_variance).exp() + log_variance
        total -= error.mean(-1)
    return total


class Belief:
    """In each of L lanes C codes, of which the first are the training tasks', and the evidence for each."""

    def __init__(self, codes: Tensor, lanes: int) -> None:
        """Believe in all of the training tasks' codes alike.

        Args:
            codes: `(tasks, code_dim)`.
            lanes: L.
        """
        self.codes = codes.expand(lanes, -1, -1)
        self.evidence = torch.zeros(lanes, len(codes), device=codes.device)

    def learn(self, lanes: Tensor, codes: Tensor, evidence: Tensor) -> None:
        """Put codes `(C', code_dim)` with their evidence `(C',)` into some lanes, `(L,)` bool.

        All lanes have equally many codes: where some have fewer, copies without any chance fill them up.
        """
        lanes = lanes.nonzero().squeeze(-1)
        missing = len(codes) - self.codes.shape[1]
        if missing > 0:
            self.codes = torch.cat([self.codes, self.codes[:, :1].expand(-1, missing, -1)], 1)
            nothing = self.evidence.new_full((len(self.evidence), missing), -torch.inf)
            self.evidence = torch.cat([self.evidence, nothing], 1)
        self.codes = self.codes.clone()
        self.codes[lanes, : len(codes)] = codes
        self.evidence[lanes, : len(codes)] = evidence
        self.evidence[lanes, len(codes) :] = -torch.inf

    def weigh(self, temper: float) -> Tensor:
        """`(L, C)` probabilities."""
        return torch.softmax(self.evidence * temper, -1)

    def average(self, temper: float) -> Tensor:
        """`(L, code_dim)` expected codes."""
        return (self.weigh(temper).unsqueeze(-1) * self.codes).sum(1)
