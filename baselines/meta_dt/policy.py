"""Acting: task codes kept up to date lane by lane, complementary prompts from support."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from metabench import Array, Episode, Policy, Prediction, Spaces, Step

from ..common.decision_transformer.policy import (
    Actor,
    Segment,
    choose_prompts,
    choose_random_prompt,
)
from ..common.decision_transformer.prompted_episodes import choose_best_episodes
from ..common.decision_transformer.saving import count_trained_parameters, save_networks
from ..common.decision_transformer.train import Networks, Scales
from .config import TaskCodeConfig
from .model import Transitions
from .world_model import TaskCodeModel, WorldModel


class CodesOfLanes(Protocol):
    """The task code of every lane, from its group's support and its episode so far."""

    def reset(self, support: Sequence[Sequence[Episode]]) -> None:
        """Start one episode a lane; `support` has the support episodes of each lane, perhaps none."""
        ...

    def advance(self, step: Step) -> Tensor:
        """Take in the transition that led to `step`, if any; returns codes `(lanes, code_dim)`."""
        ...

    def read_prefixes(self, prefix: Sequence[Episode]) -> Tensor:
        """Codes `(lanes, code_dim)` after the episode so far of each lane; what `advance` knows stays as it is."""
        ...


class LaneCodes:
    """Codes of the last h transitions; support is not read, and at an episode's start there are none."""

    def __init__(self, model: WorldModel, spaces: Spaces) -> None:
        """Keep the trained model, in evaluation mode."""
        self._model, self._spaces = model.eval(), spaces

    def reset(self, support: Sequence[Sequence[Episode]]) -> None:
        """Start one episode a lane: what the episode before left is forgotten, so no code reaches into it."""
        device = self._model.scales.reward_mean.device
        size, lanes = self._spaces.observation_dim, len(support)
        sizes = {
            "observations": size,
            "actions": self._spaces.action_dim,
            "rewards": 1,
            "changes": size,
        }
        self._nothing = {
            name: torch.zeros(lanes, 0, size, device=device) for name, size in sizes.items()
        }
        self._recent: list[Transitions] = []
        self._before: Array | None = None

    @torch.inference_mode()
    def advance(self, step: Step) -> Tensor:
        """Take in the transition that led to `step`, if any; returns codes `(lanes, code_dim)`."""
        if self._before is not None:
            last = scale_last_transition(self._model, self._spaces, self._before, step)
            self._recent = [*self._recent, last][-self._model.encoder.horizon :]
        self._before = np.array(step.observation)
        if not self._recent:
            return self._model.encoder.encode_last(self._nothing)
        joined = {
            name: torch.cat([part[name] for part in self._recent], dim=1) for name in self._nothing
        }
        return self._model.encoder.encode_last(joined)

    @torch.inference_mode()
    def read_prefixes(self, prefix: Sequence[Episode]) -> Tensor:
        """Codes `(lanes, code_dim)` of the last h transitions of each lane's episode so far."""
        encoder = self._model.encoder
        codes = torch.zeros(
            len(prefix), encoder.output.out_features, device=self._model.scales.reward_mean.device
        )
        for lanes in group_by_length(prefix):
            scaled = scale_episodes(self._model, self._spaces, [prefix[lane] for lane in lanes])
            codes[lanes] = encoder.encode_last(scaled)
        return codes


def scale_last_transition(
    model: TaskCodeModel, spaces: Spaces, before: Array, step: Step
) -> Transitions:
    """The lanes' transitions `(lanes, 1, size)` from observations `before` to `step`."""
    features = spaces.action_features(step.previous_action)
    scaled = model.scales(before, features, step.previous_reward, step.observation)
    return {name: value[:, None] for name, value in scaled.items()}


def scale_episode(model: TaskCodeModel, spaces: Spaces, episode: Episode) -> Transitions:
    """An episode's scaled transitions, `(1, T, size)`."""
    return scale_episodes(model, spaces, [episode])


def scale_episodes(
    model: TaskCodeModel, spaces: Spaces, episodes: Sequence[Episode]
) -> Transitions:
    """Scaled transitions of B episodes of one length, `(B, T, size)`."""
    observations = np.stack([episode.observations for episode in episodes])
    actions = spaces.action_features(np.stack([episode.actions for episode in episodes]))
    rewards = np.stack([episode.rewards for episode in episodes])
    scaled: Transitions = model.scales(observations[:, :-1], actions, rewards, observations[:, 1:])
    return scaled


def group_by_length(episodes: Sequence[Episode]) -> list[list[int]]:
    """Places of episodes that are as long as each other."""
    groups: dict[int, list[int]] = {}
    for place, episode in enumerate(episodes):
        groups.setdefault(len(episode), []).append(place)
    return list(groups.values())


@torch.inference_mode()
def encode_episode(model: TaskCodeModel, spaces: Spaces, episode: Episode) -> Tensor:
    """Codes before each step of an episode and after its last, from this episode alone: `(T + 1, code_dim)`."""
    return model.encode(scale_episode(model, spaces, episode))[0]


@torch.inference_mode()
def measure_episode_surprise(model: TaskCodeModel, spaces: Spaces, episode: Episode) -> Array:
    """The world model's error at each step of an episode, `(T,)`."""
    codes = encode_episode(model, spaces, episode)[
        None, :-1
    ]  # (1, T, code_dim), each known before its step
    errors = model.measure_surprise(scale_episode(model, spaces, episode), codes)[0]
    return np.asarray(errors.cpu().numpy())


class MetaDTPolicy(Policy):
    """A prompted transformer with task codes; `world_model` None is the ablation without context."""

    def __init__(
        self,
        config: TaskCodeConfig,
        networks: Networks,
        zero_shot_networks: Networks | None,
        world_model: TaskCodeModel | None,
        spaces: Spaces,
        scales: Scales,
    ) -> None:
        """Wrap trained networks; `zero_shot_networks` act where there is no support, if they were trained apart."""
        self.config, self.spaces, self.scales = config, spaces, scales
        self.networks, self.zero_shot_networks, self.world_model = (
            networks,
            zero_shot_networks,
            world_model,
        )
        self._prompted = Actor(config, networks, spaces, scales)
        self._unprompted = self._prompted
        if zero_shot_networks is not None:
            self._unprompted = Actor(config, zero_shot_networks, spaces, scales)
        self._codes = self._build_lane_codes(world_model) if world_model is not None else None

    def _build_lane_codes(self, model: TaskCodeModel) -> CodesOfLanes:
        assert isinstance(model, WorldModel)
        return LaneCodes(model, self.spaces)

    def reset(self, groups: Sequence[int], seeds: Sequence[int]) -> None:
        """Start without support."""
        self._groups, self._seeds = list(groups), list(seeds)
        lanes = len(self._groups)
        self._actor = self._unprompted
        self._actor.reset(lanes, [None] * lanes)
        if self._codes is not None:
            self._codes.reset([()] * lanes)

    def adapt(self, support: Mapping[int, Sequence[Episode]]) -> None:
        """Give every lane its group's support: in its task code, where that reads support, and as its prompt."""
        if self._codes is not None:
            self._codes.reset([support.get(group, ()) for group in self._groups])
        prompts: list[Segment | None] = [None] * len(self._groups)
        if not self.config.no_prompt:
            self._actor = self._prompted
            prompts = self._choose_prompts(support)
        self._actor.reset(len(self._groups), prompts)

    def act(self, step: Step) -> Array:
        """The predicted actions."""
        codes = self._codes.advance(step) if self._codes is not None else None
        return self.spaces.actions_from_features(self._actor.act(step, codes))

    @property
    def predicts(self) -> bool:
        """Whether it has a world model."""
        return self.world_model is not None

    def predict(self, prefix: Sequence[Episode], actions: Array) -> Prediction:
        """What the decoders say, with the code that acting would have after the prefix; ends they know none of."""
        model = self.world_model
        assert model is not None and self._codes is not None
        device = model.scales.reward_mean.device
        now = np.stack([episode.observations[-1] for episode in prefix])
        seen, earned = model.predict_open_loop(
            torch.as_tensor(now, device=device),
            torch.as_tensor(self.spaces.action_features(actions), device=device),
            self._codes.read_prefixes(prefix),
        )
        return Prediction(
            seen.cpu().numpy(), earned.cpu().numpy(), np.zeros(actions.shape[:2], np.float32)
        )

    def task_codes(self, episodes: Sequence[Episode], steps: int) -> Array | None:
        """Codes `(n, code_dim)` after the first `steps` steps of each episode; None without context."""
        model = self.world_model
        if model is None:
            return None
        codes = []
        for episode in episodes:
            after = encode_episode(model, self.spaces, episode)  # (T + 1, code_dim)
            codes.append(after[min(steps, len(episode))])
        return np.asarray(torch.stack(codes).cpu().numpy())

    def save(self, folder: Path) -> None:
        """Write networks, scales and configuration."""
        save_networks(folder, self.config, self.spaces, self.scales, self.modules())

    def parameter_count(self) -> int:
        """Trained parameters of all networks."""
        return count_trained_parameters(self.modules())

    def modules(self) -> dict[str, torch.nn.Module]:
        """All networks by name."""
        modules = self.networks.modules()
        if self.zero_shot_networks is not None:
            for name, module in self.zero_shot_networks.modules().items():
                modules[f"zero_shot_{name}"] = module
        if self.world_model is not None:
            modules["world_model"] = self.world_model
        return modules

    def _choose_prompts(self, support: Mapping[int, Sequence[Episode]]) -> list[Segment | None]:
        """One prompt a lane from its group's support: complementary, unless that is ablated; None without support."""
        model = self.world_model
        if self.config.acting_prompts == "top-return":
            support = {group: choose_best_episodes(episodes) for group, episodes in support.items()}
        if model is None or self.config.no_complementary_prompt:
            choose = choose_random_prompt(self.config.prompt_length)
            return choose_prompts(self._groups, support, self._seeds, choose)
        # Lanes of a group share their support, so its errors are computed once a group.
        scores = {
            group: [self._score_segments(model, episode) for episode in episodes]
            for group, episodes in support.items()
        }
        return [
            self._choose_complementary(support[group], scores[group], seed)
            if support.get(group)
            else None
            for group, seed in zip(self._groups, self._seeds, strict=True)
        ]

    def _score_segments(self, model: TaskCodeModel, episode: Episode) -> Array:
        """Error sum of each segment of an episode, by its first step; 0 where none may begin."""
        error = measure_episode_surprise(model, self.spaces, episode)
        sums = np.concatenate([[0.0], np.cumsum(error, dtype=np.float64)])
        length = min(self.config.prompt_length, len(episode))
        scores = sums[length:] - sums[: len(sums) - length] + 1e-12  # errors may all be 0
        scores[: min(self.config.earliest_segment, len(scores) - 1)] = 0.0
        return np.asarray(scores)

    def _choose_complementary(
        self, support: Sequence[Episode], scores: Sequence[Array], seed: int
    ) -> Segment:
        """The segment of the largest error over all support; or one of a random episode, drawn by its error."""
        if self.config.segment_choice == "largest-error":
            place = int(np.argmax([values.max() for values in scores]))
            start = int(scores[place].argmax())
        else:
            generator = np.random.default_rng([seed, 2])
            place = int(generator.integers(len(support)))
            cumulative = np.cumsum(scores[place])
            start = int(np.searchsorted(cumulative, generator.random() * cumulative[-1], "right"))
        episode = support[place]
        return Segment(episode, start, min(self.config.prompt_length, len(episode)))
