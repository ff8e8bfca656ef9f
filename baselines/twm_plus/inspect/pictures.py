"""Pictures of a trained world model: where it looks, and what it imagines beside what really happened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields

import numpy as np
import torch
from torch import Tensor, nn

from metabench import Array, HeatMap, ImageStrip, LinePlot, Picture, Series, TrainingData

from ..config import TWMConfig
from ..model.dynamics import HeadPrediction
from ..model.world_model import Sequences, Support, WorldModel
from ..training.batches import gather_windows
from .diagnostics import (
    CONTEXTS,
    HORIZONS,
    draw_windows,
    drop_context,
    measure_open_loop,
    predict_open_loop,
)

STEPS = 40
"""Steps of an episode whose attention is shown."""

CONTEXT, HORIZON = 8, 32
"""Real steps before imagination, and imagined ones; fewer where episodes are short."""

COORDINATES = 5
"""Coordinates of the observation that are shown: those that move the most."""

FRAMES = 8
"""Imagined frames that are shown."""


def draw_world_model_pictures(
    config: TWMConfig, model: WorldModel, data: TrainingData, generator: np.random.Generator
) -> list[Picture]:
    """Attention in one episode with support of its task, another imagined under its logged actions, errors of many."""
    placed = data.to(model.get_buffer("reward_scale").device)

    def beginning(episode: int, length: int) -> Sequences:
        return gather_windows(data, placed, np.array([episode]), np.zeros(1, np.int64), length)[0]

    episode = int(generator.integers(data.num_episodes))
    support = _choose_support(config, data, placed, episode, generator)
    attended = draw_attention(
        model, beginning(episode, min(STEPS, int(data.lengths[episode]))), support
    )
    length = min(CONTEXT + HORIZON, int(data.lengths.max()))
    other = int(generator.choice(np.flatnonzero(data.lengths >= length)))
    imagined = draw_imagined_episode(model, beginning(other, length), min(CONTEXT, length // 2))
    return [*attended, imagined, draw_open_loop_errors(model, data, generator)]


def _choose_support(
    config: TWMConfig,
    data: TrainingData,
    placed: TrainingData,
    episode: int,
    generator: np.random.Generator,
) -> Support | None:
    """Segments of other episodes of the same task; None where nothing is ever pinned, or there is no other."""
    count = config.segments
    others = np.setdiff1d(
        np.flatnonzero(data.columns.tasks == data.columns.tasks[episode]), [episode]
    )
    if not count or not len(others):
        return None
    chosen = np.resize(generator.permutation(others)[:count], count)
    latest = np.maximum(data.lengths[chosen] - config.segment_steps, 0)
    starts = (generator.random(count) * (latest + 1)).astype(np.int64)
    segments, _ = gather_windows(data, placed, chosen, starts, config.segment_steps)
    segments.ended[:, -1] = True
    hidden = torch.zeros(1, count, dtype=torch.bool, device=segments.rewards.device)
    return Support(segments, count, hidden)


@torch.no_grad()
def draw_attention(model: WorldModel, window: Sequences, support: Support | None) -> list[Picture]:
    """Where predictions look: at which steps, layer by layer, and at which kinds of tokens.

    Args:
        model: the model.
        window: one sequence of T steps, none of them padding.
        support: what is pinned for it, or None.
    """
    weights, pinned_steps = record_attention(model, window, support)
    weights = weights.mean(axis=1)  # (layers, T, seen steps, tokens a step)
    groups = [("this episode", weights.shape[1])]
    if support is not None:
        each = pinned_steps // support.count
        groups = [*((f"support {number + 1}", each) for number in range(support.count)), *groups]
    by_step = weights.sum(axis=-1)
    maps: list[Picture] = [
        HeatMap(
            title=f"Attention, layer {layer + 1} of {len(by_step)}",
            values=by_step[layer],
            row_label="step predicted from",
            column_label="step looked at",
            column_groups=groups,
            caption="Mean over heads, summed over the tokens of a step. Each row is the action token of one step of an "
            "episode, at which reward and next state are predicted; its shades sum to 1.",
        )
        for layer in sorted({0, len(by_step) - 1})
    ]
    return [*maps, _draw_shares(model, weights, pinned_steps)]


def _draw_shares(model: WorldModel, weights: Array, pinned_steps: int) -> LinePlot:
    """How much of the attention goes to which kind of token, of support and of the episode."""
    config = model.config
    kinds = ["latent", "action"]
    if config.reward_input:
        kinds.append("reward")
    if config.discount_input:
        kinds.append("discount")
    x = np.arange(1, weights.shape[1] + 1, dtype=np.float64)
    parts = {"support": slice(0, pinned_steps), "this episode": slice(pinned_steps, None)}
    panels = {
        name: [
            Series(kind, x, weights[:, :, part, place].mean(axis=0).sum(axis=-1))
            for place, kind in enumerate(kinds)
        ]
        for name, part in parts.items()
        if name != "support" or pinned_steps
    }
    caption = "Share of the attention at each step's action token, by the kind of token it goes to; mean over layers "
    return LinePlot("What it looks at", panels, "step of the episode", caption + "and heads.")


@torch.no_grad()
def record_attention(
    model: WorldModel, window: Sequences, support: Support | None
) -> tuple[Array, int]:
    """Attention weights at the action tokens of one sequence.

    Returns:
        `(layers, heads, T, pinned steps + T, tokens a step)`, and the number of pinned steps.
    """
    pinned = None
    if support is not None:
        _, pinned = model.pin(support, model.encode(support.segments, sample=False))
    encoded = model.encode(window, sample=False)
    with _watch_attention(model.dynamics.transformer.dropout) as found:
        model.dynamics(encoded.tokens, window.episodes, pinned)
    each = model.dynamics.step_tokens
    weights = torch.stack(found)[:, 0, :, 1::each]
    steps = torch.unflatten(weights, -1, (-1, each)).cpu().numpy()
    return steps, steps.shape[3] - window.rewards.shape[1]


@contextmanager
def _watch_attention(dropout: nn.Module) -> Iterator[list[Tensor]]:
    """The attention weights `(B, heads, n, m)` of all layers: they pass through the transformer's dropout."""
    found: list[Tensor] = []

    def keep(_: nn.Module, given: tuple[Tensor, ...]) -> None:
        if given[0].dim() == 4:  # positions pass through it, too
            found.append(given[0])

    handle = dropout.register_forward_pre_hook(keep)
    try:
        yield found
    finally:
        handle.remove()


def draw_imagined_episode(model: WorldModel, steps: Sequences, context: int) -> Picture:
    """One sequence imagined on under its logged actions after `context` real steps, beside what really happened."""
    states, rewards = imagine_with_each_head(model, steps, context)
    real = model.observation.scale(steps.observations)[0].cpu().numpy()
    if model.config.front == "frames":
        return _draw_frames(real[context + 1 :], states.mean(axis=0))
    panels = {"reward": _compare_series(steps.rewards[0].cpu().numpy(), rewards, context)}
    mean, deviation = (
        model.observation.get_buffer(name).cpu().numpy() for name in ("mean", "deviation")
    )
    moving = np.sort(np.argsort(-real.std(axis=0), kind="stable")[:COORDINATES])
    for place in moving.tolist():
        seen, said = (part[..., place] * deviation[place] + mean[place] for part in (real, states))
        panels[f"observation {place + 1} of {real.shape[1]}"] = _compare_series(
            seen[1:], said, context
        )
    members = len(states)
    caption = f"An episode: the model sees {context} steps, then goes on by itself under the logged actions. "
    if members > 1:
        caption += f"Line: mean of {members} rollouts, one a head of the ensemble; "
        caption += "band: from the lowest to the highest."
    return LinePlot(
        title="Imagined and real",
        panels=panels,
        x_label="step",
        caption=caption,
        marks={"imagination begins": float(context) + 0.5},
    )


def _compare_series(real: Array, members: Array, context: int) -> list[Series]:
    """What followed each step: `(T,)` really, `(members, T - context)` as imagined."""
    x = np.arange(1, len(real) + 1, dtype=np.float64)
    middle, low, high = members.mean(axis=0), members.min(axis=0), members.max(axis=0)
    band = (low, high) if len(members) > 1 else (None, None)
    return [Series("real", x, real, reference=True), Series("imagined", x[context:], middle, *band)]


def _draw_frames(real: Array, imagined: Array) -> ImageStrip:
    """The newest frame of each stack, real above imagined."""
    places = np.unique(np.linspace(0, len(real) - 1, FRAMES).round().astype(int))
    shown = np.stack([real[places, -1], imagined[places, -1]])
    return ImageStrip(
        title="Imagined and real frames",
        images=(shown.clip(0.0, 1.0) * 255).round().astype(np.uint8),
        row_names=["real", "imagined"],
        column_names=[f"after {place + 1}" for place in places.tolist()],
        caption="An episode under its logged actions; the imagined frames are means over the heads.",
    )


def draw_open_loop_errors(
    model: WorldModel, data: TrainingData, generator: np.random.Generator
) -> LinePlot:
    """How far off imagination is under the logged actions, by how many real steps came before."""
    horizon = min(HORIZONS[-1], int(data.lengths.max()))
    contexts = [count for count in CONTEXTS if count + horizon <= data.lengths.max()]
    device = str(model.get_buffer("reward_scale").device)
    windows = draw_windows(data, contexts[-1] + horizon, generator, device)
    asked = drop_context(windows, contexts[-1])
    truth = model.observation.scale(asked.observations)[:, 1:]
    x = np.arange(1, horizon + 1, dtype=np.float64)
    panels: dict[str, list[Series]] = {"state": [], "reward": []}

    def add(name: str, state: Tensor, reward: Tensor, reference: bool = False) -> None:
        for panel, errors in (("state", state), ("reward", reward)):
            size = errors.flatten(1).square().mean(dim=1).sqrt().cpu().numpy().astype(np.float64)
            panels[panel].append(Series(name, x, size, reference=reference))

    centres = truth.mean(dim=(0, 1)), asked.rewards.mean()
    add(
        "predicting the mean",
        (truth - centres[0]).transpose(0, 1),
        (asked.rewards - centres[1]).T,
        reference=True,
    )
    for context in contexts:
        state, reward, _ = measure_open_loop(
            model, drop_context(windows, contexts[-1] - context), context
        )
        add(f"after {context} real steps", state, reward)
    return LinePlot(
        title="How far off imagination is",
        panels=panels,
        x_label="imagined steps",
        caption=f"Root mean squared errors over the same steps of {len(asked.rewards)} trajectories, under the logged "
        "actions: of the observation, in deviations of the training data, and of the reward, in its unit.",
    )


@torch.no_grad()
def imagine_with_each_head(
    model: WorldModel, steps: Sequences, context: int
) -> tuple[Array, Array]:
    """Predict on after `context` steps of one sequence, once with each head of the ensemble; latents are modes.

    Returns:
        `scaled` observations `(heads, T - context, ...)` and rewards `(heads, T - context)` in reward units.
    """
    heads = model.config.ensemble
    copies = Sequences(
        **{
            f.name: getattr(steps, f.name).expand(heads, *getattr(steps, f.name).shape[1:])
            for f in fields(steps)
        }
    )
    own = torch.arange(heads, device=steps.rewards.device)

    def take_own_head(prediction: HeadPrediction) -> Tensor:
        return model.latents.mode(prediction.latent_logits[own, own])

    states, rewards = zip(*predict_open_loop(model, copies, context, take_own_head), strict=True)
    return torch.stack(states, dim=1).cpu().numpy(), torch.stack(rewards, dim=1).cpu().numpy()
