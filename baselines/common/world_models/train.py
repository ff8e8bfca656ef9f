"""Training an ensemble: its losses, who the elites are, and when to stop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from metabench import TrainingData, TrainingRun

from ..optimisation import cosine_factor, descend
from .batches import Batch, Batches, draw_held_out, find_most_windows
from .config import ContextEnsembleConfig
from .ensemble import Ensemble
from .networks import MemberNetworks, Said

CODE_WINDOWS = 64
"""Windows of each training task that its code is the mean of, for beliefs."""


def train_ensemble(ensemble: Ensemble, data: TrainingData, run: TrainingRun) -> None:
    """Fit scales and networks on `data.fitting`; judge members and stop by `data.validation`.

    A stage `model` of the run. The networks are those of the best judgement.
    """
    config = ensemble.config
    fitting = data.fitting.to(run.device)
    ensemble.scales.fit(data.fitting, config.reach)
    run.torch_seed("task-codes")
    ensemble.set_tasks(fitting.num_tasks)
    ensemble.to(run.device)
    batches = Batches(ensemble, fitting, run.generator("bootstrap"))
    held_out = draw_held_out(ensemble, data.validation.to(run.device), run)
    optimizer = torch.optim.Adam(_group_parameters(ensemble), lr=config.learning_rate, fused=True)
    judge = Judge(ensemble)
    parts: dict[str, Any] = {"ensemble": ensemble, "optimizer": optimizer, "judge": judge}
    for update in run.steps("model", config.updates, **parts):
        if judge.stale >= config.patience:
            break
        rate = cosine_factor(update, config.updates) if config.learning_rate_decay else 1.0
        loss = compute_loss(ensemble, batches.draw(run.generator("model", update)))
        descend(optimizer, loss, learning_rate=config.learning_rate * rate)
        if update % config.judged_every == 0 or update == config.updates:
            errors = judge.judge(measure_errors(ensemble, held_out))
            run.log(
                loss=loss.item(),
                held_out_error=float(errors.mean()),
                best_member=float(errors.min()),
            )
    judge.restore()
    run.summary["model_held_out_error"] = float(judge.errors.mean())
    ensemble.eval()
    ensemble.get_buffer("missed").copy_(_measure_missed(ensemble, held_out))
    if isinstance(config, ContextEnsembleConfig) and not config.learned_codes:
        codes = _encode_tasks(ensemble, batches, fitting.num_tasks, run)
        ensemble.task_codes.data.copy_(codes)


def compute_loss(ensemble: Ensemble, batch: Batch) -> Tensor:
    """Negative log-likelihoods of changes and rewards, of ends, and of what was before; summed over the members."""
    config = ensemble.config
    members, tasks, each, ahead, size = batch.observations.shape
    spread, missed = _find_codes(ensemble, batch)
    codes = _spread_codes(batch, spread)
    state = batch.observations[..., 0, :].reshape(members, -1, size)
    likelihood, ended = torch.zeros(()), torch.zeros(())
    for step in range(ahead):
        actions, after, rewards, ends, there = (
            column[..., step, :].reshape(members, tasks * each, -1)
            for column in (
                batch.actions,
                batch.next_observations,
                batch.rewards[..., None],
                batch.ends[..., None],
                batch.there[..., None],
            )
        )
        said = ensemble.ask(ensemble.members, state, actions, codes)
        target = ensemble.scales.scale_outcome(state, after, rewards[..., 0])
        total = there.sum((1, 2)).clamp(min=1.0)
        likelihood = (
            likelihood
            + (measure_surprise(said, target, config.variance_weight) * there[..., 0]).sum(1)
            / total
        )
        crossed = functional.binary_cross_entropy_with_logits(
            said.end, ends[..., 0], reduction="none"
        )
        ended = ended + (crossed * there[..., 0]).sum(1) / total
        if ahead > 1:
            state, _ = ensemble.scales.reach_outcome(state, said.mean)
    loss = (likelihood + ended).sum() / ahead
    loss = loss + config.bound_penalty * ensemble.members.measure_bounds() + missed
    if ensemble.backward_members is not None:
        assert isinstance(config, ContextEnsembleConfig)
        loss = loss + config.backward_weight * _compute_backward_loss(
            ensemble, ensemble.backward_members, batch, codes
        )
    return loss


def measure_surprise(said: Said, target: Tensor, variance_weight: float) -> Tensor:
    """`(members, B)` negative log-likelihoods of `(members, B, outputs)`, a mean over outputs, without constants.

    Each is weighed by its variance to the power `variance_weight`: else outputs that are known exactly have gradients
    ten thousand times those of the others, which then are never learned.
    """
    error = (said.mean - target).square() * (-said.log_variance).exp()
    weight = (variance_weight * said.log_variance.detach()).exp()
    return ((error + said.log_variance) * weight).mean(-1)


def _compute_backward_loss(
    ensemble: Ensemble, members: MemberNetworks, batch: Batch, codes: Tensor
) -> Tensor:
    """CaDM's: where a step came from, told where it led to."""
    before, after, actions = (
        column[..., 0, :].flatten(1, 2)
        for column in (batch.observations, batch.next_observations, batch.actions)
    )
    said = ensemble.ask(members, after, actions, codes)
    scales = ensemble.scales
    target = (before - after + scales.get_buffer("change_mean")) / scales.get_buffer("change")
    surprise = measure_surprise(said, target, ensemble.config.variance_weight).mean(1).sum()
    return surprise + ensemble.config.bound_penalty * members.measure_bounds()


def _find_codes(ensemble: Ensemble, batch: Batch) -> tuple[Tensor, Tensor]:
    """`(T, code_dim)` codes of the batch's contexts or of its tasks, and how far the encoder is off these, weighed.

    Which way an action turns a task is a product of three things, and the gradient of a product of small numbers is
    smaller still. Codes that are learned without an encoder find it soon, and the encoder then has something to tell.
    """
    config = ensemble.config
    if not isinstance(config, ContextEnsembleConfig):
        return batch.observations.new_zeros(len(batch.tasks), 0), torch.zeros(())
    codes = ensemble.encode(batch.steps, batch.read)
    if not config.learned_codes:
        return codes, torch.zeros(())
    learned = ensemble.task_codes[batch.tasks]
    known = batch.read.any(2).any(1)
    off = (codes - learned.detach()).square().sum(1)
    missed = (off * known).sum() / known.sum().clamp(min=1)
    replaced = torch.rand(len(codes), 1, device=codes.device) < config.learned_codes
    return torch.where(replaced & known[:, None], learned, codes), config.code_weight * missed


def _spread_codes(batch: Batch, codes: Tensor) -> Tensor:
    """`(members, T * b, code_dim)` of `(T, code_dim)` codes, for all members of the ensemble."""
    members, _, each = batch.observations.shape[:3]
    return codes[None, :, None].expand(members, -1, each, -1).flatten(1, 2)


@torch.no_grad()
def _measure_missed(ensemble: Ensemble, held_out: Batch) -> Tensor:
    """`(S + 1,)` mean squared errors of the elites' mean, in units of the scales."""
    means, target = _predict(ensemble, held_out)
    return (means[ensemble.get_buffer("elites")].mean(0) - target).square().mean(0)


@torch.no_grad()
def _encode_tasks(ensemble: Ensemble, batches: Batches, tasks: int, run: TrainingRun) -> Tensor:
    """`(tasks, code_dim)` codes of the training tasks, of many windows each."""
    count, generator = find_most_windows(ensemble.config), run.generator("task-codes")
    windows, every = np.full(tasks, count), np.arange(tasks)
    codes = [
        ensemble.encode(*batches.draw_contexts(generator, every, windows))
        for _ in range(-(-CODE_WINDOWS // count))
    ]
    return torch.stack(codes).mean(0)


def measure_errors(ensemble: Ensemble, batch: Batch) -> Tensor:
    """`(members,)` mean squared errors of one step, in units of the scales; all are asked about the same batch."""
    means, target = _predict(ensemble, batch)
    return (means - target).square().mean((1, 2))


@torch.no_grad()
def _predict(ensemble: Ensemble, batch: Batch) -> tuple[Tensor, Tensor]:
    """`(members, B, S + 1)` means, and `(B, S + 1)` what they should be, of a batch that all members share."""
    count = ensemble.config.members
    before, actions, after = (
        column[..., 0, :].flatten(1, 2).expand(count, -1, -1)
        for column in (batch.observations, batch.actions, batch.next_observations)
    )
    found = (
        ensemble.encode(batch.steps, batch.read)
        if ensemble.code_dim
        else batch.observations.new_zeros(len(batch.tasks), 0)
    )
    codes = _spread_codes(batch, found).expand(count, -1, -1)
    rewards = batch.rewards[..., 0].flatten(1).expand(count, -1)
    said = ensemble.ask(ensemble.members, before, actions, codes)
    return said.mean, ensemble.scales.scale_outcome(before, after, rewards)[0]


class Judge:
    """Keeps the best networks so far; a part of the checkpoint.

    Members share the encoder: so the ensemble is kept as a whole, not each member at its own best.
    """

    def __init__(self, ensemble: Ensemble) -> None:
        """Begin with the networks as they are, of which nothing is known."""
        self._ensemble = ensemble
        self.errors = torch.full((ensemble.config.members,), torch.inf)
        self.stale = 0
        self._best = _copy_state(ensemble)

    def judge(self, errors: Tensor) -> Tensor:
        """Take note of held-out errors `(members,)`, and of who the elites are."""
        errors = errors.cpu()
        elites = errors.argsort(stable=True)[: self._ensemble.config.elites]
        self._ensemble.get_buffer("elites").copy_(elites)
        better = errors.mean() < (1.0 - self._ensemble.config.improvement) * self.errors.mean()
        self.stale = 0 if better else self.stale + 1
        if errors.mean() < self.errors.mean():
            self.errors, self._best = errors, _copy_state(self._ensemble)
        return errors

    def restore(self) -> None:
        """Put the best networks back."""
        self._ensemble.load_state_dict(self._best)

    def state_dict(self) -> dict[str, Any]:
        """The best networks and how long ago they were."""
        return {"errors": self.errors, "stale": self.stale, "best": self._best}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Put back what `state_dict` returned."""
        self.errors, self.stale = state_dict["errors"], int(state_dict["stale"])
        self._best = dict(state_dict["best"])


def _copy_state(ensemble: Ensemble) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in ensemble.state_dict().items()}


def _group_parameters(ensemble: Ensemble) -> list[dict[str, object]]:
    decay = ensemble.config.weight_decay
    groups = ensemble.members.group_decays(decay)
    if ensemble.backward_members is not None:
        groups += ensemble.backward_members.group_decays(decay)
    if ensemble.encoder is not None:
        groups.append({"params": [*ensemble.encoder.parameters(), ensemble.task_codes]})
    return groups
