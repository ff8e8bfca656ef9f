"""The world model: observation model and dynamics, and the losses of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from metabench import DataError, Spaces, TrainingData

from ..config import WorldModelConfig
from .dynamics import Dynamics, HeadPrediction
from .memory import Pinned
from .observation_model import ObservationModel


@dataclass(frozen=True)
class Sequences:
    """B sequences of T steps, the last of them real; all are tensors.

    Attributes:
        observations: `(B, T + 1, ...)` before each step and after the last.
        actions: `(B, T, action_dim)` features.
        rewards: `(B, T)` as the data have them.
        terminated: `(B, T)` bool: the task ended the episode with this step.
        ended: `(B, T)` bool: an episode or a segment of one ends with this step.
        episodes: `(B, T)` int64: which episode of the sequence a step belongs to; -1 for padding.
        next_known: `(B, T)` bool: the next row of `observations` came of this step (and is not a new episode's first).
    """

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    terminated: Tensor
    ended: Tensor
    episodes: Tensor
    next_known: Tensor


@dataclass(frozen=True)
class Support:
    """What is pinned for B windows of G groups: the first B / G are of the first group, and so on.

    Attributes:
        segments: `(G * n, ...)` sequences: n segments a group, one group after another.
        count: n.
        hidden: `(B, n)` bool: segments of its group that a window does not see.
    """

    segments: Sequences
    count: int
    hidden: Tensor


@dataclass(frozen=True)
class Encoded:
    """Sequences as the dynamics read them.

    Attributes:
        logits: `(B, T + 1, size)` of the encoder.
        latents: `(B, T + 1, size)` sampled from them, or their modes; without gradient.
        tokens: `(B, T * step_tokens, width)`.
        steps: what was encoded.
        rewards: `(B, T)` transformed.
    """

    logits: Tensor
    latents: Tensor
    tokens: Tensor
    steps: Sequences
    rewards: Tensor


class WorldModel(nn.Module):
    """Observation model and dynamics; the dynamics' losses leave the encoder alone."""

    def __init__(self, config: WorldModelConfig, spaces: Spaces) -> None:
        """Make both; raises `DataError` where frames are expected and `spaces` has none."""
        super().__init__()
        self.config = config
        self.observation = ObservationModel(config, spaces.observation_dim)
        self.latents = self.observation.latents
        self.dynamics = Dynamics(config, self.latents, spaces.action_dim, spaces.discrete)
        self.register_buffer("reward_scale", torch.ones(()))

    def measure(self, data: TrainingData) -> None:
        """Take the scales of observations and rewards from training data.

        Raises:
            DataError: rewards are not finite numbers, or so large that float32 does not hold their deviation.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            deviation = np.float32(data.columns.rewards.std(dtype=np.float64))
        largest = np.abs(data.columns.rewards).max()
        if not (np.isfinite(deviation) and np.isfinite(largest) and largest < 1e18):
            raise DataError(
                f"rewards of {data.suite_name or 'the data'} overflow: the largest is {largest:g}, expected finite "
                "numbers below 1e18; rescale them"
            )
        if self.config.front == "vector":
            mean, spread = data.observation_statistics
            self.observation.get_buffer("mean").copy_(torch.as_tensor(mean))
            self.observation.get_buffer("deviation").copy_(torch.as_tensor(spread))
        if self.config.reward_transform == "scaled":
            self.get_buffer("reward_scale").fill_(float(deviation) if deviation > 1e-8 else 1.0)

    def transform_rewards(self, rewards: Tensor) -> Tensor:
        """Rewards as the dynamics read and predict them."""
        return (
            rewards.tanh()
            if self.config.reward_transform == "tanh"
            else rewards / self.get_buffer("reward_scale")
        )

    def restore_rewards(self, transformed: Tensor) -> Tensor:
        """The inverse of `transformed`; squashed rewards are kept from the ends of their range."""
        if self.config.reward_transform == "tanh":
            return transformed.clamp(-0.999, 0.999).atanh()
        return transformed * self.get_buffer("reward_scale")

    def predict_going_on(self, prediction: HeadPrediction) -> Tensor:
        """Predicted probabilities `(...)` that a step does not end the episode."""
        probability = prediction.discount_logit.sigmoid()
        soft = self.config.discount_target == "soft"  # then that of going on is scaled by it
        return (probability / self.config.discount).clamp(max=1.0) if soft else probability

    def encode(self, steps: Sequences, *, sample: bool, gradient: bool = False) -> Encoded:
        """Encode sequences; `sample` draws the latents, `gradient` keeps that of the logits."""
        with torch.set_grad_enabled(gradient and torch.is_grad_enabled()):
            logits = self.observation.encode(self.observation.scale(steps.observations))
        latents = (
            self.latents.sample(logits.detach()) if sample else self.latents.mode(logits.detach())
        )
        rewards = self.transform_rewards(steps.rewards)
        discounts = self.config.discount * (~steps.ended).to(rewards.dtype)
        tokens = self.dynamics.embed_steps(latents[:, :-1], steps.actions, rewards, discounts)
        return Encoded(logits, latents, tokens, steps, rewards)

    def pin(self, support: Support, encoded: Encoded) -> tuple[Tensor, Pinned]:
        """Pin encoded support segments.

        Returns:
            Outputs at the segments' action tokens, `(G * n, T, width)`, and what each window sees.
        """
        count = support.count
        groups = len(encoded.tokens) // count
        tokens = torch.unflatten(encoded.tokens, 0, (groups, count)).flatten(
            1, 2
        )  # (G, n * T * k, width)
        number = torch.arange(count, device=tokens.device)[:, None]
        episodes = torch.unflatten(encoded.steps.episodes, 0, (groups, count))
        each = (
            torch.where(episodes >= 0, number, -1)
            .flatten(1)
            .repeat_interleave(self.dynamics.step_tokens, dim=1)
        )
        unseen = support.hidden.repeat_interleave(tokens.shape[1] // count, dim=1)
        rows = slice(1, None, self.dynamics.step_tokens)
        outputs, pinned = self.dynamics.transformer.pin(tokens, each, unseen, rows)
        return torch.unflatten(outputs, 1, (count, -1)).flatten(0, 1), pinned

    def dynamics_loss(
        self,
        windows: Encoded,
        support: Support | None = None,
        segments: Encoded | None = None,
        reward_map: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, Tensor], HeadPrediction]:
        """The dynamics' loss on windows and on the support they see.

        Args:
            windows: the windows.
            support: what they see besides.
            segments: the support, encoded.
            reward_map: `(B, anchors)` what the map should say of each window's task; with it, its loss counts, too.

        Returns:
            The weighted sum, its parts, and the predictions at the windows' steps.
        """
        pinned = None
        outputs: list[Tensor] = []
        read: list[Encoded] = []
        if support is not None and segments is not None:
            hidden, pinned = self.pin(support, segments)
            outputs.append(hidden.flatten(0, 1))
            read.append(segments)
        if reward_map is None:
            hidden = self.dynamics.read_at_actions(windows.tokens, windows.steps.episodes, pinned)
        else:
            both = self.dynamics(windows.tokens, windows.steps.episodes, pinned)
            hidden = both[:, :, 1]
        prediction = self.dynamics.predict(torch.cat([*outputs, hidden.flatten(0, 1)]))
        loss, parts = self.prediction_loss(prediction, [*read, windows])
        if reward_map is not None:
            parts["reward_map"] = self._reward_map_loss(
                both, reward_map, windows.steps.episodes >= 0
            )
            loss = loss + self.config.reward_map_weight * parts["reward_map"]
        count, shape = windows.rewards.numel(), hidden.shape[:2]
        of_windows = HeadPrediction(
            torch.unflatten(prediction.latent_logits[:, -count:], 1, shape),
            torch.unflatten(prediction.reward[-count:], 0, shape),
            torch.unflatten(prediction.discount_logit[-count:], 0, shape),
        )
        return loss, parts, of_windows

    def prediction_loss(
        self, prediction: HeadPrediction, read: Sequence[Encoded]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum of the dynamics' losses, and its parts.

        Args:
            prediction: `(N,)` predictions, at all steps of all `read` sequences.
            read: the sequences.
        """
        config, steps = self.config, [encoded.steps for encoded in read]
        real = torch.cat([part.episodes.flatten() for part in steps]) >= 0
        known = real & torch.cat([part.next_known.flatten() for part in steps])
        target = torch.cat([encoded.logits[:, 1:].detach().flatten(0, 1) for encoded in read])
        reward = torch.cat([encoded.rewards.flatten() for encoded in read])
        going = (~torch.cat([part.terminated.flatten() for part in steps])).to(reward.dtype)
        crossed = self.latents.probabilities(target) * self.latents.log_probabilities(
            prediction.latent_logits
        )
        label = going * config.discount if config.discount_target == "soft" else going
        bernoulli = nn.functional.binary_cross_entropy_with_logits(
            prediction.discount_logit, label, reduction="none"
        )
        parts = {
            "latent": _masked_mean(-crossed.sum(dim=-1).mean(dim=0), known),
            "reward": _masked_mean(0.5 * (prediction.reward - reward).square(), real),
            "discount": _masked_mean(bernoulli, real),
        }
        loss = (
            config.latent_weight * parts["latent"]
            + config.reward_weight * parts["reward"]
            + config.discount_weight * parts["discount"]
        )
        return loss, parts

    def _reward_map_loss(self, hidden: Tensor, reward_map: Tensor, real: Tensor) -> Tensor:
        """Half the mean squared error of what the map says at latents' and actions' tokens `(B, T, 2, width)`."""
        told = self.dynamics.tell_reward_map(hidden)
        return _masked_mean(
            0.5 * (told - reward_map[:, None, None]).square().mean(dim=(2, 3)), real
        )

    def observation_loss(self, observations: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Decoder and entropy losses of observations `(N, ...)`."""
        decoder, entropy, _ = self.observation.reconstruction_loss(
            self.observation.scale(observations)
        )
        return decoder + entropy, {"decoder": decoder, "entropy": entropy}

    def joint_observation_loss(
        self, steps: Sequences, prediction: HeadPrediction
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Decoder, entropy and consistency losses of what follows the real steps of windows.

        `prediction` is what the dynamics made of these steps. The first observation of a new episode, which it cannot
        know, is decoded, but not compared with it.
        """
        real = steps.episodes >= 0
        decoder, entropy, logits = self.observation.reconstruction_loss(
            self.observation.scale(steps.observations[:, 1:][real])
        )
        logits = logits[steps.next_known[real]]
        prior = prediction.latent_logits[:, real & steps.next_known].detach()
        if self.config.consistency_order == "dynamics-first":
            crossed = -(self.latents.probabilities(prior) * self.latents.log_probabilities(logits))
        else:
            crossed = -(self.latents.probabilities(logits) * self.latents.log_probabilities(prior))
        consistency = self.config.consistency_weight * crossed.sum(dim=-1).mean()
        parts = {"decoder": decoder, "entropy": entropy, "consistency": consistency}
        return decoder + entropy + consistency, parts


def _masked_mean(values: Tensor, counted: Tensor) -> Tensor:
    """Mean of `values` where `counted` is true."""
    return (values * counted).sum() / counted.sum().clamp(min=1)
