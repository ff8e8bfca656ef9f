"""Acting: task codes kept up to date lane by lane, complementary prompts from support, exploration where it is free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from metabench import Array, Episode, Policy, Spaces, Step

from ..common.decision_transformer.policy import Actor, Segment, prompts_for, random_prompt
from ..common.decision_transformer.saving import save_networks, trained_parameters
from ..common.decision_transformer.train import Networks, Scales
from .config import MetaDTConfig
from .encoder import Transitions
from .model import WorldModel


class LaneCodes:
    """The task code of every lane, from its group's support and its episode so far."""

    def __init__(self, model: WorldModel, spaces: Spaces) -> None:
        """Keep the trained model, in evaluation mode."""
        self._model, self._spaces = model.eval(), spaces
        self._device = next(model.parameters()).device

    @torch.inference_mode()
    def reset(self, support: Sequence[Sequence[Episode]]) -> None:
        """Start one episode a lane; `support` has the support episodes of each lane, perhaps none."""
        encoder = self._model.encoder
        self._total = torch.zeros(len(support), encoder.evidence_dim, device=self._device)
        self._recent: list[Transitions] = []
        self._before: Array | None = None
        if encoder.reads_support:
            known: dict[int, Tensor] = {}
            for lane, episodes in enumerate(support):
                for episode in episodes:
                    if id(episode) not in known:
                        known[id(episode)] = encoder.total(self.transitions(episode))[0]
                    self._total[lane] += known[id(episode)]

    @torch.inference_mode()
    def advance(self, step: Step) -> Tensor:
        """Take in the transition that led to `step`, if any; returns codes `(lanes, code_dim)`."""
        encoder = self._model.encoder
        if self._before is not None:
            features = self._spaces.action_features(step.previous_action)
            last = self._model.scales(self._before, features, step.previous_reward, step.observation)
            last = {name: value[:, None] for name, value in last.items()}
            if encoder.reads_support:
                two = {name: torch.cat([part[name] for part in (*self._recent, last)], dim=1) for name in last}
                evidence = encoder.evidence(two)
                self._total = self._total + evidence[:, -1] - evidence[:, -2]
                self._recent = [last]
            else:
                self._recent = [*self._recent, last][-self._model.config.context_horizon :]
        if not encoder.reads_support:
            self._total = self._recent_evidence(len(step.observation))
        self._before = np.array(step.observation)
        return encoder.code(self._total)

    def _recent_evidence(self, lanes: int) -> Tensor:
        if self._recent:
            steps = {name: torch.cat([part[name] for part in self._recent], dim=1) for name in self._recent[0]}
        else:
            sizes = {"observations": self._spaces.observation_dim, "actions": self._spaces.action_dim, "rewards": 1}
            sizes["changes"] = self._spaces.observation_dim
            steps = {name: torch.zeros(lanes, 0, size, device=self._device) for name, size in sizes.items()}
        return self._model.encoder.total(steps)

    def transitions(self, episode: Episode) -> Transitions:
        """An episode's scaled transitions, `(1, T, size)`."""
        observations = episode.observations[None]
        actions = self._spaces.action_features(episode.actions)[None]
        scaled: Transitions = self._model.scales(
            observations[:, :-1], actions, episode.rewards[None], observations[:, 1:]
        )
        return scaled

    @torch.inference_mode()
    def episode_codes(self, episode: Episode) -> Tensor:
        """Codes before each step of an episode and after its last, from this episode alone: `(T + 1, code_dim)`."""
        return self._model.encoder.code(self._model.encoder.evidence(self.transitions(episode))[0])

    @torch.inference_mode()
    def surprise(self, episode: Episode) -> Array:
        """The world model's error at each step of an episode, `(T,)`."""
        codes = self.episode_codes(episode)[None, :-1]
        errors: Array = self._model.surprise(self.transitions(episode), codes)[0].cpu().numpy()
        return errors


class MetaDTPolicy(Policy):
    """A prompted transformer with task codes; `world_model` None is the ablation without context."""

    def __init__(
        self,
        config: MetaDTConfig,
        networks: Networks,
        zero_shot_networks: Networks | None,
        world_model: WorldModel | None,
        spaces: Spaces,
        scales: Scales,
    ) -> None:
        """Wrap trained networks; `zero_shot_networks` act where there is no support, if they were trained apart."""
        self.config, self.spaces, self.scales = config, spaces, scales
        self.networks, self.zero_shot_networks, self.world_model = networks, zero_shot_networks, world_model
        self._prompted = Actor(config, networks, spaces, scales)
        self._unprompted = Actor(config, zero_shot_networks, spaces, scales) if zero_shot_networks else self._prompted
        self._codes = LaneCodes(world_model, spaces) if world_model is not None else None

    def reset(self, groups: Sequence[int], seeds: Sequence[int]) -> None:
        """Start without support; each lane's random actions are drawn from its own seed."""
        self._groups, self._seeds = list(groups), list(seeds)
        lanes, horizon = len(self._groups), self.spaces.horizon
        self._supported = np.zeros(lanes, bool)
        self._actor = self._unprompted
        self._actor.reset(lanes, [None] * lanes)
        if self._codes is not None:
            self._codes.reset([()] * lanes)
        self._explores = self.config.exploration > 0 or self.config.probe_steps > 0
        if self._explores:
            generators = [np.random.default_rng([seed, 1]) for seed in self._seeds]
            self._coins = np.stack([generator.random(horizon) for generator in generators])
            self._random = np.stack([self.spaces.uniform_actions(generator, (horizon,)) for generator in generators])

    def adapt(self, support: Mapping[int, Sequence[Episode]]) -> None:
        """Give every lane its group's support: in its task code, where that reads support, and as its prompt."""
        lanes = len(self._groups)
        self._supported = np.array([bool(support.get(group)) for group in self._groups])
        if self._codes is not None:
            self._codes.reset([support.get(group, ()) for group in self._groups])
        prompts: list[Segment | None] = [None] * lanes
        if not self.config.no_prompt:
            self._actor = self._prompted
            if self._codes is None or self.config.no_complementary_prompt:
                choose = random_prompt(self.config.prompt_length)
                prompts = prompts_for(self._groups, support, self._seeds, choose)
            else:
                scored = {group: [self._segment_scores(e) for e in episodes] for group, episodes in support.items()}
                prompts = [
                    self._complementary(support[group], scored[group], seed) if support.get(group) else None
                    for group, seed in zip(self._groups, self._seeds, strict=True)
                ]
        self._actor.reset(lanes, prompts)

    def act(self, step: Step) -> Array:
        """The predicted actions; random ones where exploring costs nothing or probing is due."""
        codes = self._codes.advance(step) if self._codes is not None else None
        actions = self.spaces.actions_from_features(self._actor.act(step, codes))
        if self._explores:
            timestep = np.minimum(step.timestep, self.spaces.horizon - 1)
            lane = np.arange(len(actions))
            explore = ~step.scored & (self._coins[lane, timestep] < self.config.exploration)
            explore |= step.scored & ~self._supported & (step.timestep < self.config.probe_steps)
            actions[explore] = self._random[lane, timestep][explore]
        return actions

    def task_codes(self, episodes: Sequence[Episode], steps: int) -> Array | None:
        """Codes `(n, code_dim)` after the first `steps` steps of each episode; None without context."""
        if self._codes is None:
            return None
        codes = [self._codes.episode_codes(episode)[min(steps, len(episode))] for episode in episodes]
        return np.asarray(torch.stack(codes).cpu().numpy())

    def save(self, folder: Path) -> None:
        """Write networks, scales and configuration."""
        save_networks(folder, self.config, self.spaces, self.scales, self.modules())

    def parameter_count(self) -> int:
        """Trained parameters of all networks."""
        return trained_parameters(self.modules())

    def modules(self) -> dict[str, torch.nn.Module]:
        """All networks by name."""
        modules = self.networks.modules()
        if self.zero_shot_networks is not None:
            modules |= {f"zero_shot_{name}": module for name, module in self.zero_shot_networks.modules().items()}
        return modules | ({"world_model": self.world_model} if self.world_model is not None else {})

    def _segment_scores(self, episode: Episode) -> Array:
        """Error sum of each segment of an episode, by its first step."""
        assert self._codes is not None
        sums = np.concatenate([[0.0], np.cumsum(self._codes.surprise(episode), dtype=np.float64)])
        length = min(self.config.prompt_length, len(episode))
        return np.asarray(sums[length:] - sums[: len(sums) - length])

    def _complementary(self, support: Sequence[Episode], scores: Sequence[Array], seed: int) -> Segment:
        """The segment of the largest error over all support, or one drawn with probability proportional to it."""
        flat = np.concatenate(scores)
        if self.config.segment_choice == "largest-error":
            index = int(flat.argmax())
        else:
            cumulative = np.cumsum(flat + 1e-12)
            index = int(np.searchsorted(cumulative, np.random.default_rng([seed, 2]).random() * cumulative[-1]))
        for episode, values in zip(support, scores, strict=True):
            if index < len(values):
                return Segment(episode, index, min(self.config.prompt_length, len(episode)))
            index -= len(values)
        raise AssertionError("a segment lies in one of the episodes")
