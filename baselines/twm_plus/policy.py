"""Acting: all lanes step through the world model at once; support is pinned, or fine-tuned on besides."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from metabench import (
    Array,
    DataError,
    Episode,
    Picture,
    Policy,
    Prediction,
    Spaces,
    Step,
    TrainingData,
    load_state,
    save_state,
)

from .actor_critic import ActorCritic
from .config import TWMConfig
from .finetune import fine_tune
from .inspect.pictures import draw_world_model_pictures
from .model.memory import Pinned
from .model.world_model import WorldModel
from .predict import predict_episodes
from .support import make_episode_sequences, make_pinned_support
from .training.imagined_rollouts import read_context

ACTING = re.compile(
    r"model\.(observation\.encoder|dynamics\.(transformer|embed_\w+))\..*|actor_critic\.actor\..*"
    r"|model\.(observation\.(mean|deviation)|reward_scale)"
)
"""Names of the weights that acting reads; the others are of heads, decoder, critic and behaviour policy."""


class TWMPolicy(Policy):
    """The actor on latent and transformer output; each lane's memory holds its episode, its support is pinned."""

    def __init__(
        self,
        config: TWMConfig,
        model: WorldModel,
        actor_critic: ActorCritic,
        spaces: Spaces,
        *,
        small: bool = False,
    ) -> None:
        """Wrap trained networks, which stay as they are; of a `small` policy only what acting reads is trained."""
        self._config, self._spaces, self._small = config, spaces, small
        self._model = model.requires_grad_(False).eval()
        self._actor_critic = actor_critic.requires_grad_(False).eval()
        self._device = model.get_buffer("reward_scale").device

    def reset(self, groups: Sequence[int], seeds: Sequence[int]) -> None:
        """Empty all memories; where actions are sampled, it is from each lane's own seed."""
        self._groups = list(groups)
        self._generators = [np.random.default_rng([seed, 1]) for seed in seeds]
        transformer = self._model.dynamics.transformer
        # Twice the window: what is in view is moved once a window, not at every step.
        self._memory = transformer.empty_memory(len(self._groups), 2 * transformer.reach)
        self._pinned: Pinned | None = None
        self._tuned: dict[int, ActorCritic] = {}

    def adapt(self, support: Mapping[int, Sequence[Episode]]) -> None:
        """Pin segments of each group's support; where configured, fine-tune a copy of the actor for each group."""
        given = {group: list(episodes) for group, episodes in support.items() if episodes}
        if not given:
            return
        if self._config.segments:
            self._pinned = self._pin(given)
        if self._config.adaptation == "finetune":
            for group in set(self._groups) & set(given):
                self._tuned[group] = fine_tune(
                    self._config,
                    self._model,
                    self._actor_critic,
                    given[group],
                    self._spaces,
                    self._device,
                )

    @torch.no_grad()
    def act(self, step: Step) -> Array:
        """One pass of the transformer over what happened since the last step, and the actor on its output."""
        model = self._model
        observation = torch.as_tensor(step.observation, device=self._device)
        latents = model.latents.mode(model.observation.encode(model.observation.scale(observation)))
        hidden = self._read(latents, step) if self._actor_critic.reads_hidden else latents
        features = self._actor_critic.make_features(latents, hidden)
        noise = self._draw_noise(step)
        actions, _ = self._actor_critic.act(features, noise)
        for group, tuned in self._tuned.items():
            lanes = torch.as_tensor([own == group for own in self._groups], device=self._device)
            actions[lanes], _ = tuned.act(features[lanes], None if noise is None else noise[lanes])
        return self._spaces.actions_from_features(actions.cpu().numpy())

    def _read(self, latents: Tensor, step: Step) -> Tensor:
        """The transformer's output `(lanes, width)` at the tokens of `latents`, after those of the step before."""
        dynamics = self._model.dynamics
        tokens = [dynamics.embed_latents(latents)]
        if self._memory.length:
            features = torch.as_tensor(
                self._spaces.action_features(step.previous_action), device=self._device
            )
            reward = self._model.transform_rewards(
                torch.as_tensor(step.previous_reward, device=self._device)
            )
            outcome = dynamics.embed_outcomes(
                reward, torch.full_like(reward, self._config.discount)
            )
            tokens = [dynamics.embed_actions(features), *outcome, *tokens]
        stacked = torch.stack(tokens, dim=1)
        episodes = torch.zeros(stacked.shape[:2], dtype=torch.int64, device=self._device)
        output: Tensor = dynamics.transformer(
            stacked, episodes, slice(-1, None), self._memory, self._pinned
        )
        return output[:, 0]

    @property
    def predicts(self) -> bool:
        """Not a small policy, which has no heads; nor a model of frames."""
        return not self._small and self._config.front == "vector"

    def predict(self, prefix: Sequence[Episode], actions: Array) -> Prediction:
        """What the world model says, in view of the pinned support; fine-tuned copies are of the actor alone."""
        return predict_episodes(self._model, self._spaces, prefix, actions, self._pinned)

    def task_codes(self, episodes: Sequence[Episode], steps: int) -> Array | None:
        """The transformer's output at the latent after the first `steps` steps of each episode, `(n, width)`."""
        counts = [min(steps, len(episode)) for episode in episodes]
        starts = [max(0, count - self._config.memory) for count in counts]
        codes = []
        for first in range(0, len(episodes), 256):
            part = slice(first, first + 256)
            sequences = make_episode_sequences(
                episodes[part], starts[part], counts[part], self._spaces, self._device
            )
            context = read_context(self._model, sequences, None, sample=False)
            codes.append(context.hidden[:, -1].cpu().numpy())
        return np.concatenate(codes)

    def pictures(self, data: TrainingData, generator: np.random.Generator) -> Sequence[Picture]:
        """Where the transformer looks, imagined beside real episodes; none of a small policy, which cannot imagine."""
        if self._small:
            return ()
        return draw_world_model_pictures(self._config, self._model, data, generator)

    def save(self, folder: Path) -> None:
        """Write weights, configuration and spaces."""
        networks = {"model": self._model, "actor_critic": self._actor_critic}
        state = {
            **{
                part: _keep_acting_weights(network, part)
                if self._small
                else dict(network.state_dict())
                for part, network in networks.items()
            },
            "small": self._small,
            "config": self._config.model_dump(mode="json"),
            "spaces": asdict(self._spaces),
        }
        save_state(state, folder / "policy")

    def make_small(self) -> TWMPolicy:
        """A copy that takes a quarter of the room once it is saved: what acting reads, rounded to 16 bits.

        Raises:
            ValueError: adaptations fine-tune weights that acting does not read.
        """
        if self._config.adaptation == "finetune":
            raise ValueError(
                "adaptation = 'finetune' needs all weights: a small policy has only what acting reads"
            )
        model, actor_critic = copy.deepcopy((self._model, self._actor_critic))
        model.load_state_dict(_keep_acting_weights(model, "model"), strict=False)
        actor_critic.load_state_dict(
            _keep_acting_weights(actor_critic, "actor_critic"), strict=False
        )
        return TWMPolicy(self._config, model, actor_critic, self._spaces, small=True)

    def parameter_count(self) -> int:
        """Parameters of world model, actor and critic."""
        modules = (self._model, self._actor_critic.actor, self._actor_critic.critic)
        return sum(p.numel() for module in modules for p in module.parameters())

    @torch.no_grad()
    def _pin(self, given: Mapping[int, Sequence[Episode]]) -> Pinned:
        """Support of every lane; a lane whose group has none sees none."""
        lanes = [given.get(group, ()) for group in self._groups]
        support = make_pinned_support(lanes, self._config, self._spaces, self._device)
        return self._model.pin(support, self._model.encode(support.segments, sample=False))[1]

    def _draw_noise(self, step: Step) -> Tensor | None:
        """Noise for lanes that sample their actions; None where all act the mode."""
        sampled = (
            np.ones(len(step.scored), bool)
            if self._config.scored_actions == "sample"
            else ~step.scored
        )
        if not sampled.any():
            return None
        shape = self._spaces.action_dim
        draws = [
            generator.gumbel(size=shape) if self._spaces.discrete else generator.normal(size=shape)
            for generator in self._generators
        ]
        noise = np.stack(draws).astype(np.float32)
        noise[~sampled] = 0.0
        return torch.as_tensor(noise, device=self._device)


def load_twm_policy(folder: Path, spaces: Spaces) -> TWMPolicy:
    """Read what `TWMPolicy.save` wrote; raises `DataError` if it is missing, damaged, or of other spaces."""
    state = load_state(folder / "policy")
    try:
        config = TWMConfig.model_validate(state["config"])
        saved = Spaces(**state["spaces"])
        small = bool(state.get("small", False))
        model, actor_critic = WorldModel(config, saved), ActorCritic(config, saved)
        for part, network in (("model", model), ("actor_critic", actor_critic)):
            absent = (
                set(network.state_dict()) - set(_keep_acting_weights(network, part))
                if small
                else set()
            )
            found = network.load_state_dict(state[part], strict=False)
            if found.unexpected_keys or set(found.missing_keys) != absent:
                raise KeyError(f"{part}: other weights than this configuration has")
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise DataError(
            f"{folder}: not a policy of a transformer world model: {' '.join(str(error).split()):.200}"
        ) from error
    if saved != spaces:
        raise DataError(f"{folder}: a policy for {saved}, expected {spaces}")
    return TWMPolicy(config, model, actor_critic, spaces, small=small)


def _keep_acting_weights(network: nn.Module, part: str) -> dict[str, Tensor]:
    """What a small policy keeps: matrices in 16 bits; rows and numbers (biases, scales) as they are."""
    acting = {
        name: value
        for name, value in network.state_dict().items()
        if ACTING.fullmatch(f"{part}.{name}")
    }
    return {name: value.half() if value.ndim > 1 else value for name, value in acting.items()}
