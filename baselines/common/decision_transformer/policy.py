"""Acting in many lanes at once: an exact key-value cache for the first K steps, then a sliding window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from metabench import Array, Episode, Spaces, Step

from .caching import append_tokens, make_cache
from .config import TransformerConfig
from .sliding import SlidingWindow
from .train import Networks, Scales


@dataclass(frozen=True)
class Segment:
    """A prompt: `length` steps of an episode from step `start` on."""

    episode: Episode
    start: int
    length: int


ChoosePrompt = Callable[[Sequence[Episode], np.random.Generator], Segment]
"""Picks the prompt from a group's support."""


def choose_random_prompt(length: int) -> ChoosePrompt:
    """A random segment of a random support episode."""

    def choose(support: Sequence[Episode], generator: np.random.Generator) -> Segment:
        episode = support[int(generator.integers(len(support)))]
        count = min(length, len(episode))
        return Segment(episode, int(generator.integers(len(episode) - count + 1)), count)

    return choose


class Actor:
    """The lanes of a prompted transformer: give it codes and returns-to-go step by step, it gives action features."""

    def __init__(
        self, config: TransformerConfig, networks: Networks, spaces: Spaces, scales: Scales
    ) -> None:
        """Keep the networks, in evaluation mode."""
        self.config, self.networks, self.spaces, self.scales = config, networks, spaces, scales
        for module in networks.modules().values():
            module.eval()
        self.device = next(networks.transformer.parameters()).device

    def reset(self, lanes: int, prompts: Sequence[Segment | None]) -> None:
        """Start one episode a lane; `prompts` has one a lane, None where there is none."""
        model, config = self.networks.transformer, self.config
        self._sum = torch.zeros(lanes, device=self.device)
        self._last_timesteps: Tensor | None = None
        self._tokens: list[Tensor] = []  # of the window, as long as it grows
        self._window: SlidingWindow | None = None
        with torch.inference_mode():
            # Without any prompt there is no room for one: it would be padding in every lane at every step.
            prompt = (
                self._embed_prompts(prompts)
                if any(prompt is not None for prompt in prompts)
                else None
            )
            self._single = (
                prompt is None and config.window == 1
            )  # nothing to keep from step to step
            capacity = 3 * config.prompt_length if prompt is not None else 0
            capacity += model.tokens_per_step * min(config.window, self.spaces.horizon)
            self._cache = make_cache(model.transformer, lanes, capacity, model.action_head.weight)
            if prompt is not None:
                append_tokens(model.transformer, self._cache, *prompt)

    @torch.inference_mode()
    def act(self, step: Step, codes: Tensor | None) -> Array:
        """Action features `(lanes, action_dim)` float32 for all lanes; `codes` `(lanes, code_dim)` if there are any."""
        scales = self.scales
        observations = torch.as_tensor(scales.normalise(step.observation), device=self.device)
        timesteps = torch.as_tensor(
            np.minimum(step.timestep, self.spaces.horizon - 1), device=self.device
        )
        self._sum = (
            self._sum + torch.as_tensor(step.previous_reward, device=self.device) / scales.returns
        )
        if self.networks.achievable is not None:
            returns = self.networks.achievable(observations, codes, timesteps)
        else:
            returns = scales.target - self._sum
        hidden = self._run_new_tokens(
            self._embed_new_tokens(step, returns, observations, timesteps, codes)
        )
        features: Array = self.networks.transformer.predict(hidden).float().cpu().numpy()
        return features

    def _embed_new_tokens(
        self,
        step: Step,
        returns: Tensor,
        observations: Tensor,
        timesteps: Tensor,
        codes: Tensor | None,
    ) -> Tensor:
        """Tokens `(lanes, n, W)` of the action before this step, if any, and of this step but for its action."""
        model = self.networks.transformer
        now = None if codes is None else codes[:, None]
        tokens = model.embed_context(
            returns[:, None], now, observations[:, None], timesteps[:, None]
        )[:, 0]
        if self._last_timesteps is not None:
            previous = torch.as_tensor(
                self.spaces.action_features(step.previous_action), device=self.device
            )
            action = model.embed_actions(previous[:, None], self._last_timesteps[:, None])[:, 0]
            tokens = torch.cat([action, tokens], dim=1)
        self._last_timesteps = None if self._single else timesteps
        return tokens

    def _run_new_tokens(self, tokens: Tensor) -> Tensor:
        """The newest token's output `(lanes, W)`, after the prompt and the window's earlier tokens."""
        transformer = self.networks.transformer.transformer
        visible = torch.ones(tokens.shape[:2], dtype=torch.bool, device=self.device)
        if self._single:
            output: Tensor = transformer(tokens, visible)[:, -1]
            return output
        if self._window is None and len(self._tokens) == self.config.window:
            self._window = SlidingWindow(transformer, self._cache, torch.cat(self._tokens, dim=1))
        if self._window is not None:
            return self._window.advance(tokens)
        self._tokens.append(tokens)
        return append_tokens(transformer, self._cache, tokens, visible)

    def _embed_prompts(self, prompts: Sequence[Segment | None]) -> tuple[Tensor, Tensor]:
        """Tokens `(lanes, 3k, W)` and visibility of the lanes' prompts, left-padded."""
        length, lanes = self.config.prompt_length, len(prompts)
        arrays: dict[str, Array] = {
            "returns": np.zeros((lanes, length), np.float32),
            "observations": np.zeros((lanes, length, self.spaces.observation_dim), np.float32),
            "actions": np.zeros((lanes, length, self.spaces.action_dim), np.float32),
            "timesteps": np.zeros((lanes, length), np.int64),
        }
        visible = np.zeros((lanes, length), bool)
        for lane, prompt in enumerate(prompts):
            if prompt is None:
                continue
            steps = slice(prompt.start, prompt.start + prompt.length)
            # Sums from the episode's end backwards: this and all later rewards.
            to_go = (
                np.cumsum(prompt.episode.rewards[::-1], dtype=np.float64)[::-1]
                / self.scales.returns
            )  # (T,)
            place = slice(length - prompt.length, length)
            visible[lane, place] = True
            arrays["returns"][lane, place] = to_go[steps]
            arrays["observations"][lane, place] = prompt.episode.observations[steps]
            arrays["actions"][lane, place] = self.spaces.action_features(
                prompt.episode.actions[steps]
            )
            arrays["timesteps"][lane, place] = np.arange(steps.start, steps.stop)
        arrays["observations"] = self.scales.normalise(arrays["observations"])
        tensors = {
            name: torch.as_tensor(value, device=self.device) for name, value in arrays.items()
        }
        tokens = self.networks.transformer.embed_prompt(**tensors)
        return tokens, torch.as_tensor(visible, device=self.device).repeat_interleave(3, dim=1)


def choose_prompts(
    groups: Sequence[int],
    support: Mapping[int, Sequence[Episode]],
    seeds: Sequence[int],
    choose: ChoosePrompt,
) -> list[Segment | None]:
    """One prompt a lane from its group's support, chosen with the lane's own seed; None without support."""
    return [
        choose(support[group], np.random.default_rng(seed)) if support.get(group) else None
        for group, seed in zip(groups, seeds, strict=True)
    ]
