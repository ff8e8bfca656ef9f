"""Diagnostics on held-out trajectories: open-loop errors by context, latent usage, imagined against real return."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from metabench import Array, TrainingData, TrainingRun

from ..actor_critic import ActorCritic
from ..config import TWMConfig
from ..model.dynamics import HeadPrediction
from ..model.world_model import Sequences, WorldModel
from ..training.batches import gather_windows
from ..training.imagined_rollouts import ImaginationStart, begin_at, imagine, read_context

CONTEXTS = (0, 16, 64)
"""Real steps before a prediction begins."""

HORIZONS = (1, 5, 15)
"""Steps after which errors are told."""

TRAJECTORIES = 256
"""Held-out trajectories that are looked at."""


def diagnose(
    config: TWMConfig, model: WorldModel, policy: ActorCritic, data: TrainingData, run: TrainingRun
) -> dict[str, Any]:
    """What the model knows of held-out trajectories.

    Returns:
        `open_loop`: for each context and horizon, the root mean squared error of the predicted state (in deviations of
        the training observations) and reward (in reward units) at that step, under the logged actions, as far as
        episodes are long enough. `open_loop_gain`: mean and 95 % half-width, over trajectories, of how much the
        absolute reward error falls from no context to each context, at the same steps. `latent_usage`: share of classes
        in use, and their perplexity. `imagined_return`: of the logged actions, of the policy, and the real one.
    """
    longest = int(data.lengths.max())
    report: dict[str, Any] = {"open_loop": {}, "open_loop_gain": {}}

    def make_draw_arguments(length: int) -> tuple[np.random.Generator, str]:
        return run.generator("diagnose", "twm", length), run.device

    for context in (count for count in CONTEXTS if count < longest):
        horizons = [count for count in HORIZONS if context + count <= longest]
        windows = draw_windows(
            data, context + horizons[-1], *make_draw_arguments(context + horizons[-1])
        )
        state, reward, _ = measure_open_loop(model, windows, context)
        report["open_loop"][f"context_{context}"] = {
            f"after_{count}_steps": {
                "state": float(state[count - 1].square().mean().sqrt()),
                "reward": float(reward[count - 1].square().mean().sqrt()),
            }
            for count in horizons
        }
        if context:
            _, bare, _ = measure_open_loop(model, drop_context(windows, context), 0)
            gains = (bare.abs() - reward.abs()).cpu().numpy()
            report["open_loop_gain"][f"context_{context}"] = {
                f"after_{count}_steps": _measure_interval(gains[count - 1]) for count in horizons
            }
    horizon = min(HORIZONS[-1], longest)
    context = min(config.memory, longest - horizon)
    windows = draw_windows(data, context + horizon, *make_draw_arguments(context + horizon))
    report["latent_usage"] = measure_latent_usage(model, windows)
    report["imagined_return"] = measure_imagined_return(
        config, model, policy, windows, context, horizon, run
    )
    return report


def draw_windows(
    data: TrainingData, length: int, generator: np.random.Generator, device: str
) -> Sequences:
    """Windows of `length` steps at random places of different trajectories."""
    episodes = generator.permutation(np.flatnonzero(data.lengths >= length))[:TRAJECTORIES]
    starts = (generator.random(len(episodes)) * (data.lengths[episodes] - length + 1)).astype(
        np.int64
    )
    return gather_windows(data, data.to(device), episodes, starts, length)[0]


def drop_context(windows: Sequences, context: int) -> Sequences:
    """The windows without their first `context` steps."""
    return Sequences(
        **{field.name: getattr(windows, field.name)[:, context:] for field in fields(windows)}
    )


@torch.no_grad()
def measure_open_loop(
    model: WorldModel, windows: Sequences, context: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Predict on with the logged actions after `context` steps; latents are modes, rewards means.

    Args:
        model: the model.
        windows: `(B, T)` real steps, none of them padding.
        context: steps that the model sees.

    Returns:
        Errors of the `scaled` observation `(T - context, B, ...)` and of the reward `(T - context, B)` in reward units,
        and predicted rewards `(T - context, B)` in reward units.
    """
    truth = model.observation.scale(windows.observations)

    def take_expected_latents(prediction: HeadPrediction) -> Tensor:
        return model.latents.mode(model.latents.probabilities(prediction.latent_logits).mean(dim=0))

    states, errors, rewards = [], [], []
    for step, (state, reward) in enumerate(
        predict_open_loop(model, windows, context, take_expected_latents), context
    ):
        states.append(state - truth[:, step + 1])
        errors.append(reward - windows.rewards[:, step])
        rewards.append(reward)
    return torch.stack(states), torch.stack(errors), torch.stack(rewards)


def predict_open_loop(
    model: WorldModel,
    windows: Sequences,
    context: int,
    latents_of: Callable[[HeadPrediction], Tensor],
) -> Iterator[tuple[Tensor, Tensor]]:
    """The `scaled` observation and the reward `(B,)` that each logged action after `context` steps is said to lead to.

    Args:
        model: the model.
        windows: `(B, T)` real steps, none of them padding.
        context: steps that the model sees.
        latents_of: makes the next latents of a prediction.
    """
    horizon = windows.rewards.shape[1] - context
    start = begin_after_context(model, windows, context, horizon)
    dynamics, unread, episodes = model.dynamics, list[Tensor](), windows.episodes[:, :1]
    for step in range(context, context + horizon):
        tokens = torch.stack([*unread, dynamics.embed_actions(windows.actions[:, step])], dim=1)
        belongs = episodes.expand(-1, tokens.shape[1])
        hidden = dynamics.transformer(tokens, belongs, slice(-1, None), start.memory)[:, 0]
        prediction = dynamics.predict(hidden)
        latents = latents_of(prediction)
        outcome = dynamics.embed_outcomes(prediction.reward, dynamics.predict_discount(prediction))
        unread = [*outcome, dynamics.embed_latents(latents)]
        yield model.observation.decode(latents), model.restore_rewards(prediction.reward)


def begin_after_context(
    model: WorldModel, windows: Sequences, context: int, horizon: int
) -> ImaginationStart:
    """Where imagination begins in every window after `context` of its steps; latents are modes."""
    seen = read_context(model, windows, None, sample=False)
    rows = torch.arange(len(windows.rewards), device=windows.rewards.device)
    return begin_at(model, seen, rows, torch.full_like(rows, context), horizon)


@torch.no_grad()
def measure_latent_usage(model: WorldModel, windows: Sequences) -> dict[str, float]:
    """Share of classes that are ever the mode, and mean perplexity of how often each is."""
    logits = model.observation.encode(model.observation.scale(windows.observations))
    share = (
        model.latents.split(model.latents.mode(logits)).flatten(0, -3).mean(dim=0)
    )  # (groups, classes)
    entropy = -(share * share.clamp(min=1e-12).log()).sum(dim=-1)
    return {
        "share_used": float((share > 0).float().mean()),
        "perplexity": float(entropy.exp().mean()),
        "encoder_entropy": float(model.latents.entropy(logits).mean()),
    }


@torch.no_grad()
def measure_imagined_return(
    config: TWMConfig,
    model: WorldModel,
    policy: ActorCritic,
    windows: Sequences,
    context: int,
    horizon: int,
    run: TrainingRun,
) -> dict[str, float]:
    """Sums of rewards over `horizon` steps after `context` ones, in reward units; means over trajectories."""
    real = windows.rewards[:, context : context + horizon].sum(dim=1)
    _, _, predicted = measure_open_loop(model, windows, context)
    logged = predicted.sum(dim=0)
    run.torch_seed("diagnose", "twm")
    start = begin_after_context(model, windows, context, horizon)
    rollouts = imagine(config, model, policy, start, horizon)
    together = (
        torch.corrcoef(torch.stack([real, logged]))[0, 1]
        if real.std() > 0 and logged.std() > 0
        else None
    )
    report = {
        "steps": float(horizon),
        "real": float(real.mean()),
        "imagined_logged_actions": float(logged.mean()),
        "imagined_policy": float(model.restore_rewards(rollouts.rewards).sum(dim=0).mean()),
    }
    return report if together is None else report | {"correlation": float(together)}


def _measure_interval(differences: Array) -> dict[str, float]:
    """Mean and half-width of its 95 % interval by Student's t."""
    count = len(differences)
    width = (
        stats.t.ppf(0.975, count - 1) * differences.std(ddof=1) / np.sqrt(count)
        if count > 1
        else 0.0
    )
    return {"mean": float(differences.mean()), "half_width": float(width)}
