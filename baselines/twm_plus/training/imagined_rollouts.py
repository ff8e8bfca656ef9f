"""Imagination: many rollouts at once in the world model, each after real steps of its own task."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..actor_critic import ActorCritic
from ..config import TWMConfig
from ..model.dynamics import HeadPrediction
from ..model.memory import Memory, Pinned
from ..model.world_model import Encoded, Sequences, Support, WorldModel
from .losses import PolicyTrajectories


@dataclass(frozen=True)
class WindowContext:
    """Real windows that the model has read.

    Attributes:
        encoded: the windows.
        memory: keys and values of all their tokens, and of the latents after them.
        pinned: their support.
        hidden: `(B, T + 1, width)` outputs at latents' tokens.
    """

    encoded: Encoded
    memory: Memory
    pinned: Pinned | None
    hidden: Tensor


@dataclass(frozen=True)
class ImaginationStart:
    """Where N rollouts begin.

    Attributes:
        latents: `(N, size)`.
        hidden: `(N, width)` outputs at their tokens.
        memory: all before, and these tokens.
        pinned: support.
    """

    latents: Tensor
    hidden: Tensor
    memory: Memory
    pinned: Pinned | None


@dataclass(frozen=True)
class ImaginedRollouts:
    """H imagined steps of N rollouts, time first.

    Attributes:
        steps: what actor and critic learn from; rewards are penalised.
        rewards: `(H, N)` without penalty.
        disagreement: `(H, N)` of the latent heads.
        latents: `(H + 1, N, size)`.
        inputs: `(H, N, action_dim)` action features.
        hidden: `(H, N, width)` outputs at action tokens.
    """

    steps: PolicyTrajectories
    rewards: Tensor
    disagreement: Tensor
    latents: Tensor
    inputs: Tensor
    hidden: Tensor


@torch.no_grad()
def read_context(
    model: WorldModel, windows: Sequences, support: Support | None, *, sample: bool
) -> WindowContext:
    """Run the model over real windows and their support; `sample` draws their latents."""
    encoded = model.encode(windows, sample=sample)
    pinned = None
    if support is not None:
        _, pinned = model.pin(support, model.encode(support.segments, sample=sample))
    count = encoded.tokens.shape[1]
    memory = model.dynamics.transformer.empty_memory(len(encoded.tokens), count + 1)
    hidden = model.dynamics.read_at_latents(encoded.tokens, windows.episodes, pinned, memory)
    last = model.dynamics.embed_latents(encoded.latents[:, -1:])
    after = model.dynamics.transformer(last, windows.episodes[:, -1:], memory=memory, pinned=pinned)
    return WindowContext(encoded, memory, pinned, torch.cat([hidden, after], dim=1))


def begin_at(
    model: WorldModel, context: WindowContext, rows: Tensor, steps: Tensor, horizon: int
) -> ImaginationStart:
    """Starts at steps `(N,)` of windows `(N,)`; the memory has room for `horizon` more steps.

    Where support is pinned, equally many starts are of each group's windows, one group after another.
    """
    each = model.dynamics.step_tokens
    total = context.encoded.steps.episodes.shape[1]
    kept = min(model.config.memory, total) * each + 1  # whole steps before, and the latent's token
    columns = steps[:, None] * each + torch.arange(1 - kept, 1, device=steps.device)
    seen = columns >= 0
    memory = context.memory.select(rows, columns.clamp(min=0), seen, kept + horizon * each)
    pinned = context.pinned
    if pinned is not None:
        pinned = replace(pinned, unseen=pinned.unseen[rows])
    return ImaginationStart(
        context.encoded.latents[rows, steps], context.hidden[rows, steps], memory, pinned
    )


def choose_starts(
    startable: Tensor, count: int, groups: int = 1, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Windows and steps where `(B, T)` bool `startable` is true: `count // groups` in each of `groups` parts of B.

    In a part they are different ones, or all of them repeatedly if they are fewer.
    """
    possible = torch.unflatten(startable, 0, (groups, -1)).flatten(1)  # (groups, B / groups * T)
    order = torch.rand(possible.shape, generator=generator, device=possible.device).masked_fill_(
        ~possible, -1.0
    )
    picks = torch.arange(max(1, count // groups), device=possible.device) % possible.sum(
        dim=1, keepdim=True
    )
    index = order.argsort(dim=1, descending=True).gather(1, picks)
    index = (
        index + torch.arange(groups, device=index.device)[:, None] * possible.shape[1]
    ).flatten()
    return index // startable.shape[1], index % startable.shape[1]


def disagreement(model: WorldModel, prediction: HeadPrediction) -> Tensor:
    """Mean Frobenius distance `(...)` of the heads' tables of probabilities from their mean."""
    tables = model.latents.probabilities(prediction.latent_logits)
    distances: Tensor = torch.linalg.vector_norm(tables - tables.mean(dim=0), dim=-1)
    return distances.mean(dim=0)


@torch.no_grad()
def imagine(
    config: TWMConfig,
    model: WorldModel,
    policy: ActorCritic,
    start: ImaginationStart,
    horizon: int,
    generator: torch.Generator | None = None,
) -> ImaginedRollouts:
    """Act `horizon` steps in the model; latents and actions are sampled, rewards and discounts are means.

    A rollout whose cumulative discount falls below `config.restart_below` ends and goes on from another's start, as an
    episode of its own.
    """
    dynamics, memory, latents = model.dynamics, start.memory, start.latents
    count = len(latents)
    episode = memory.episodes[:, memory.length - 1].clamp(min=0)
    weight = torch.ones(count, device=latents.device)
    features = [policy.make_features(latents, start.hidden)]
    made: list[tuple[Tensor, ...]] = []
    unread: list[Tensor] = []  # tokens, and the episodes that they belong to
    places: list[Tensor] = []

    def read() -> Tensor:
        tokens, belongs = torch.stack(unread, dim=1), torch.stack(places, dim=1)
        unread.clear()
        places.clear()
        last: Tensor = dynamics.transformer(tokens, belongs, slice(-1, None), memory, start.pinned)[
            :, 0
        ]
        return last

    for _ in range(horizon):
        action, chosen = policy.act(features[-1], policy.draw_noise((count,), generator))
        unread.append(dynamics.embed_actions(action))
        places.append(episode)
        hidden = read()
        prediction = dynamics.predict(hidden)
        reward, discount = prediction.reward, dynamics.predict_discount(prediction)
        # Each step of a rollout follows one head of the ensemble, drawn anew.
        head = torch.randint(
            len(prediction.latent_logits), (count,), generator=generator, device=latents.device
        )
        chosen_logits = prediction.latent_logits[head, torch.arange(count, device=latents.device)]
        latents = model.latents.sample(chosen_logits, generator)
        before, weight = weight, weight * discount
        cut = weight < config.restart_below
        if config.restart_below > 0:
            other = torch.randint(count, (count,), generator=generator, device=latents.device)
            latents = torch.where(cut[:, None], start.latents[other], latents)
            weight = torch.where(cut, 1.0, weight)
        # Tokens wait until the next action, so that the transformer runs once or twice a step and not once a token.
        outcome = dynamics.embed_outcomes(reward, torch.where(cut, 0.0, discount))
        unread += [*outcome, dynamics.embed_latents(latents)]
        places += [episode] * len(outcome)
        episode = episode + cut.long()  # what goes on after a cut is an episode of its own
        places.append(episode)
        features.append(policy.make_features(latents, read() if policy.reads_hidden else hidden))
        doubt = disagreement(model, prediction)
        made.append((action, chosen, reward, discount, cut, before, doubt, latents, hidden))
    actions, raw, rewards, discounts, cuts, weights, doubts, seen, outputs = (
        torch.stack(parts) for parts in zip(*made, strict=True)
    )
    steps = PolicyTrajectories(
        features=torch.stack(features),
        actions=raw,
        rewards=rewards - config.disagreement_penalty * doubts,
        discounts=discounts,
        cut=cuts,
        weights=weights,
    )
    return ImaginedRollouts(
        steps, rewards, doubts, torch.cat([start.latents[None], seen]), actions, outputs
    )
