"""Acting in many lanes at once: an exact key-value cache while the episode fits the window, then a sliding window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from metabench import Array, Episode, Spaces, Step

from .config import TransformerConfig
from .model import Cache, PromptedTransformer
from .train import Networks, Scales


@dataclass(frozen=True)
class Segment:
    """A prompt: `length` steps of an episode from step `start` on."""

    episode: Episode
    start: int
    length: int


ChoosePrompt = Callable[[Sequence[Episode], np.random.Generator], Segment]
"""Picks the prompt from a group's support."""


def random_prompt(length: int) -> ChoosePrompt:
    """A random segment of a random support episode."""

    def choose(support: Sequence[Episode], generator: np.random.Generator) -> Segment:
        episode = support[int(generator.integers(len(support)))]
        count = min(length, len(episode))
        return Segment(episode, int(generator.integers(len(episode) - count + 1)), count)

    return choose


class Actor:
    """The lanes of a prompted transformer: give it codes and returns-to-go step by step, it gives action features."""

    def __init__(self, config: TransformerConfig, networks: Networks, spaces: Spaces, scales: Scales) -> None:
        """Keep the networks, in evaluation mode."""
        self.config, self.networks, self.spaces, self.scales = config, networks, spaces, scales
        for module in networks.modules().values():
            module.eval()
        self.device = next(networks.transformer.parameters()).device

    def reset(self, lanes: int, prompts: Sequence[Segment | None]) -> None:
        """Start one episode a lane; `prompts` has one a lane, None where there is none."""
        model = self.networks.transformer
        self._lanes = lanes
        self._sum = torch.zeros(lanes, device=self.device)
        self._prompt: tuple[Tensor, Tensor] | None = None
        if any(prompt is not None for prompt in prompts):
            self._prompt = self._embed_prompts(prompts)
        self._history: list[dict[str, Tensor]] = []
        self._cache: Cache | None = None
        if self.spaces.horizon <= self.config.window:
            prompt_tokens = 3 * self.config.prompt_length if self._prompt is not None else 0
            capacity = prompt_tokens + model.tokens_per_step * self.spaces.horizon
            with torch.inference_mode():
                self._cache = model.transformer.empty_cache(lanes, capacity, model.action_head.weight)
                if self._prompt is not None:
                    model.transformer.append(self._cache, *self._prompt)

    @torch.inference_mode()
    def act(self, step: Step, codes: Tensor | None) -> Array:
        """Action features `(lanes, action_dim)` float32 for all lanes; `codes` `(lanes, code_dim)` if there are any."""
        scales = self.scales
        observations = torch.as_tensor(scales.observations(step.observation), device=self.device)
        timesteps = torch.as_tensor(np.minimum(step.timestep, self.spaces.horizon - 1), device=self.device)
        self._sum = self._sum + torch.as_tensor(step.previous_reward, device=self.device) / scales.returns
        if self.networks.achievable is not None:
            returns = self.networks.achievable(observations, codes, timesteps)
        else:
            returns = scales.target - self._sum
        if self._history:
            previous = self.spaces.action_features(step.previous_action)
            self._history[-1]["actions"] = torch.as_tensor(previous, device=self.device)
        now = {"returns": returns, "observations": observations, "timesteps": timesteps}
        if codes is not None:
            now["codes"] = codes
        hidden = self._append(self._cache, now) if self._cache is not None else self._run_window(now)
        features: Array = self.networks.transformer.predict(hidden).float().cpu().numpy()
        return features

    def _append(self, cache: Cache, now: dict[str, Tensor]) -> Tensor:
        """The output at `now`'s observation token, `(lanes, W)`, with all earlier steps in the cache."""
        model = self.networks.transformer
        steps = {name: value[:, None] for name, value in now.items()}
        tokens = _context_tokens(model, steps)[:, 0]
        if self._history:
            last = {name: value[:, None] for name, value in self._history[-1].items()}
            tokens = torch.cat([model.action_tokens(last["actions"], last["timesteps"])[:, 0], tokens], dim=1)
        self._history = [now]
        visible = torch.ones(tokens.shape[:2], dtype=torch.bool, device=self.device)
        return model.transformer.append(cache, tokens, visible)

    def _run_window(self, now: dict[str, Tensor]) -> Tensor:
        """The same from the last K steps, computed anew: the window slides, so no key or value stays valid."""
        model = self.networks.transformer
        self._history = [*self._history, now][-self.config.window :]
        steps = {name: torch.stack([row[name] for row in self._history], dim=1) for name in now}
        context = _context_tokens(model, steps)
        tokens = context[:, -1]
        if len(self._history) > 1:
            actions = torch.stack([row["actions"] for row in self._history[:-1]], dim=1)
            past = torch.cat([context[:, :-1], model.action_tokens(actions, steps["timesteps"][:, :-1])], dim=2)
            tokens = torch.cat([past.flatten(1, 2), tokens], dim=1)
        visible = torch.ones(tokens.shape[:2], dtype=torch.bool, device=self.device)
        if self._prompt is not None:
            tokens = torch.cat([self._prompt[0], tokens], dim=1)
            visible = torch.cat([self._prompt[1], visible], dim=1)
        hidden: Tensor = model.transformer(tokens, visible)
        return hidden[:, -1]

    @torch.inference_mode()
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
            to_go = np.cumsum(prompt.episode.rewards[::-1], dtype=np.float64)[::-1] / self.scales.returns
            place = slice(length - prompt.length, length)
            visible[lane, place] = True
            arrays["returns"][lane, place] = to_go[steps]
            arrays["observations"][lane, place] = prompt.episode.observations[steps]
            arrays["actions"][lane, place] = self.spaces.action_features(prompt.episode.actions[steps])
            arrays["timesteps"][lane, place] = np.arange(steps.start, steps.stop)
        arrays["observations"] = self.scales.observations(arrays["observations"])
        tensors = {name: torch.as_tensor(value, device=self.device) for name, value in arrays.items()}
        tokens = self.networks.transformer.prompt_tokens(**tensors)
        return tokens, torch.as_tensor(visible, device=self.device).repeat_interleave(3, dim=1)


def _context_tokens(model: PromptedTransformer, steps: Mapping[str, Tensor]) -> Tensor:
    return model.context_tokens(steps["returns"], steps.get("codes"), steps["observations"], steps["timesteps"])


def prompts_for(
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
