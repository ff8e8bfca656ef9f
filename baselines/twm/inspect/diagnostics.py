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
from ..batches import gather_windows
from ..config import TWMConfig
from ..imagination import Start, imagine, read_context, start_at
from ..model.dynamics import Prediction
from ..model.world_model import Sequences, WorldModel

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

    def drawing(length: int) -> tuple[np.random.Generator, str]:
        return run.generator("diagnose", "twm", length), run.device

    for context in (count for count in CONTEXTS if count < longest):
        horizons = [count for count in HORIZONS if context + count <= longest]
        windows = windows_of(data, context + horizons[-1], *drawing(context + horizons[-1]))
        state, reward, _ = open_loop(model, windows, context)
        report["open_loop"][f"context_{context}"] = {
            f"after_{count}_steps": {
                "state": float(state[count - 1].square().mean().sqrt()),
                "reward": float(reward[count - 1].square().mean().sqrt()),
            }
            for count in horizons
        }
        if context:
            _, bare, _ = open_loop(model, without_context(windows, context), 0)
            gains = (bare.abs() - reward.abs()).cpu().numpy()
            report["open_loop_gain"][f"context_{context}"] = {
                f"after_{count}_steps": _interval(gains[count - 1]) for count in horizons
            }
    horizon = min(HORIZONS[-1], longest)
    context = min(config.memory, longest - horizon)
    windows = windows_of(data, context + horizon, *drawing(context + horizon))
    report["latent_usage"] = latent_usage(model, windows)
    report["imagined_return"] = imagined_return(config, model, policy, windows, context, horizon, run)
    return report


def windows_of(data: TrainingData, length: int, generator: np.random.Generator, device: str) -> Sequences:
    """Windows of `length` steps at random places of different trajectories."""
    episodes = generator.permutation(np.flatnonzero(data.lengths >= length))[:TRAJECTORIES]
    starts = (generator.random(len(episodes)) * (data.lengths[episodes] - length + 1)).astype(np.int64)
    return gather_windows(data, data.to(device), episodes, starts, length)[0]


def without_context(windows: Sequences, context: int) -> Sequences:
    """The windows without their first `context` steps."""
    return Sequences(**{field.name: getattr(windows, field.name)[:, context:] for field in fields(windows)})


@torch.no_grad()
def open_loop(model: WorldModel, windows: Sequences, context: int) -> tuple[Tensor, Tensor, Tensor]:
    """Predict on with the logged actions after `context` steps; latents are modes, rewards means.

    Args:
        model: the model.
        windows: `(B, T)` real steps, none of them padding.
        context: steps that the model sees.

    Returns:
        Errors of the `scaled` observation `(T - context, B, ...)` and of the reward `(T - context, B)` in reward units,
        and predicted rewards `(T - context, B)` in reward units.
    """
    truth = model.observation.scaled(windows.observations)

    def expected(prediction: Prediction) -> Tensor:
        return model.latents.mode(model.latents.probabilities(prediction.latent_logits).mean(dim=0))

    states, errors, rewards = [], [], []
    for step, (state, reward) in enumerate(open_loop_steps(model, windows, context, expected), context):
        states.append(state - truth[:, step + 1])
        errors.append(reward - windows.rewards[:, step])
        rewards.append(reward)
    return torch.stack(states), torch.stack(errors), torch.stack(rewards)


def open_loop_steps(
    model: WorldModel, windows: Sequences, context: int, latents_of: Callable[[Prediction], Tensor]
) -> Iterator[tuple[Tensor, Tensor]]:
    """The `scaled` observation and the reward `(B,)` that each logged action after `context` steps is said to lead to.

    Args:
        model: the model.
        windows: `(B, T)` real steps, none of them padding.
        context: steps that the model sees.
        latents_of: makes the next latents of a prediction.
    """
    horizon = windows.rewards.shape[1] - context
    start = start_of(model, windows, context, horizon)
    dynamics, unread, episodes = model.dynamics, list[Tensor](), windows.episodes[:, :1]
    for step in range(context, context + horizon):
        tokens = torch.stack([*unread, dynamics.action_tokens(windows.actions[:, step])], dim=1)
        belongs = episodes.expand(-1, tokens.shape[1])
        hidden = dynamics.transformer(tokens, belongs, slice(-1, None), start.memory)[:, 0]
        prediction = dynamics.predict(hidden)
        latents = latents_of(prediction)
        outcome = dynamics.outcome_tokens(prediction.reward, dynamics.discount(prediction))
        unread = [*outcome, dynamics.latent_tokens(latents)]
        yield model.observation.decode(latents), model.rewards_of(prediction.reward)


def start_of(model: WorldModel, windows: Sequences, context: int, horizon: int) -> Start:
    """Where imagination begins in every window after `context` of its steps; latents are modes."""
    seen = read_context(model, windows, None, sample=False)
    rows = torch.arange(len(windows.rewards), device=windows.rewards.device)
    return start_at(model, seen, rows, torch.full_like(rows, context), horizon)


@torch.no_grad()
def latent_usage(model: WorldModel, windows: Sequences) -> dict[str, float]:
    """Share of classes that are ever the mode, and mean perplexity of how often each is."""
    logits = model.observation.encode(model.observation.scaled(windows.observations))
    share = model.latents.split(model.latents.mode(logits)).flatten(0, -3).mean(dim=0)  # (groups, classes)
    entropy = -(share * share.clamp(min=1e-12).log()).sum(dim=-1)
    return {
        "share_used": float((share > 0).float().mean()),
        "perplexity": float(entropy.exp().mean()),
        "encoder_entropy": float(model.latents.entropy(logits).mean()),
    }


@torch.no_grad()
def imagined_return(
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
    _, _, predicted = open_loop(model, windows, context)
    logged = predicted.sum(dim=0)
    run.torch_seed("diagnose", "twm")
    start = start_of(model, windows, context, horizon)
    rollouts = imagine(config, model, policy, start, horizon)
    together = torch.corrcoef(torch.stack([real, logged]))[0, 1] if real.std() > 0 and logged.std() > 0 else None
    report = {
        "steps": float(horizon),
        "real": float(real.mean()),
        "imagined_logged_actions": float(logged.mean()),
        "imagined_policy": float(model.rewards_of(rollouts.rewards).sum(dim=0).mean()),
    }
    return report if together is None else report | {"correlation": float(together)}


def _interval(differences: Array) -> dict[str, float]:
    """Mean and half-width of its 95 % interval by Student's t."""
    count = len(differences)
    width = stats.t.ppf(0.975, count - 1) * differences.std(ddof=1) / np.sqrt(count) if count > 1 else 0.0
    return {"mean": float(differences.mean()), "half_width": float(width)}
