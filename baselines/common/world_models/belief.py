"""Reading by the members: how likely each known code makes what was seen, whoever acted (as `unicorn-plus` reads).

An encoder learned from logged steps, in which the behaviour gives the task away; a policy's own steps it misreads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from metabench import Episode

from ..planning.rows import Transitions
from .contract import Seen
from .ensemble import Ensemble, EnsembleModel

MOST_ROWS = 256
"""Steps of a support that codes are judged by; of more, every n-th, each for as many."""

ROWS_AT_ONCE = 2**14
"""Pairs of a step and a code that are judged together: that bounds memory."""


@dataclass(frozen=True)
class Belief:
    """What is believed of L lanes.

    Attributes:
        codes: `(L, C, code_dim)`: the training tasks', and those that the encoder reads from the support.
        evidence: `(L, C)` log-likelihoods of what was seen; minus infinity where a lane has fewer codes.
    """

    codes: Tensor
    evidence: Tensor


class BelievingModel(EnsembleModel):
    """Elites that are told the expected code; for exploring, one that is drawn."""

    def __init__(self, ensemble: Ensemble, temper: float) -> None:
        """Ask a trained ensemble with an encoder; likelihoods of steps count to the power `temper`."""
        super().__init__(ensemble)
        self._temper = temper

    def begin(self, lanes: int) -> Belief:
        """Every training task is as likely."""
        codes = self.ensemble.task_codes
        return Belief(codes.expand(lanes, -1, -1), torch.zeros(lanes, len(codes)))

    @torch.no_grad()
    def read_support(self, memory: Belief, lanes: Tensor, episodes: Sequence[Episode]) -> Belief:
        """Judge all codes by the support, and beside them the encoder's of each episode."""
        episodes = [episode for episode in episodes if len(episode)]
        if not episodes:
            return memory
        own = torch.cat([self.encode_episodes([episode]) for episode in episodes])
        codes = torch.cat([self.ensemble.task_codes, own])  # (C, code_dim)
        whole = Transitions.from_episodes(episodes, self.ensemble.spaces)
        rows = whole.thin(MOST_ROWS)
        evidence = self._measure(
            torch.as_tensor(rows.observations),
            torch.as_tensor(rows.actions),
            torch.as_tensor(rows.rewards),
            torch.as_tensor(rows.next_observations),
            codes.expand(len(rows), -1, -1),
        ).sum(0) * (len(whole) / len(rows))
        missing = len(codes) - memory.codes.shape[1]
        every, known = memory.codes, memory.evidence
        if missing > 0:
            every = torch.cat([every, every[:, :1].expand(-1, missing, -1)], 1)
            known = torch.cat([known, known.new_full((len(known), missing), -torch.inf)], 1)
        every, known = every.clone(), known.clone()
        every[lanes, : len(codes)] = codes
        known[lanes, : len(codes)] = evidence
        known[lanes, len(codes) :] = -torch.inf
        return Belief(every, known)

    @torch.no_grad()
    def take_in(self, memory: Belief, seen: Seen) -> Belief:
        """Judge all codes by one more step."""
        evidence = self._measure(
            seen.observations, seen.actions, seen.rewards, seen.next_observations, memory.codes
        )
        return replace(memory, evidence=memory.evidence + evidence * seen.there[:, None])

    def _measure(
        self, before: Tensor, actions: Tensor, rewards: Tensor, after: Tensor, codes: Tensor
    ) -> Tensor:
        """`(N, C)` log-likelihoods of N steps under `(N, C, code_dim)` codes, without constants.

        The variance is what the elites say, what they are apart, and what the ensemble misses of held-out tasks. A
        change counts as one outcome however many coordinates it has, and a reward as one.
        """
        size = max(1, ROWS_AT_ONCE // codes.shape[1])
        parts = zip(
            *(torch.split(each, size) for each in (before, actions, rewards, after, codes)),
            strict=True,
        )
        return torch.cat([self._measure_part(*part) for part in parts])

    def _measure_part(
        self, before: Tensor, actions: Tensor, rewards: Tensor, after: Tensor, codes: Tensor
    ) -> Tensor:
        count, elites = codes.shape[1], self.ensemble.config.elites
        rows = before.repeat_interleave(count, 0).expand(elites, -1, -1)
        acted = actions.repeat_interleave(count, 0).expand(elites, -1, -1)
        said = self.ensemble.ask(
            self._elites, rows, acted, codes.flatten(0, 1).expand(elites, -1, -1)
        )
        middle = said.mean.mean(0)
        variance = said.log_variance.exp().mean(0) + (said.mean - middle).square().mean(0)
        variance = (variance + self.ensemble.get_buffer("missed")).view(len(before), count, -1)
        outcome = self.scales.scale_outcome(before, after, rewards)[:, None]
        error = (middle.view_as(variance) - outcome).square()
        likelihood = -0.5 * (error / variance + variance.log())
        return likelihood[..., :-1].mean(-1) + likelihood[..., -1]

    def weigh(self, memory: Belief) -> Tensor:
        """`(L, C)` probabilities."""
        return torch.softmax(memory.evidence * self._temper, -1)

    def find_codes(self, memory: Belief, draws: Tensor | None = None) -> Tensor:
        """Expected codes, or those that are drawn."""
        if draws is None:
            return (self.weigh(memory)[..., None] * memory.codes).sum(1)
        chosen = (self.weigh(memory).cumsum(-1) < draws[:, None]).sum(-1)
        chosen = chosen.clamp(max=memory.codes.shape[1] - 1)
        return memory.codes[torch.arange(len(chosen)), chosen]
