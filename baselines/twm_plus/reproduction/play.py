"""Playing games: into the replay while learning, and to the end for a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from metabench import Array, TrainingRun

from ..actor_critic import ActorCritic
from ..model.observation_model import FRAMES
from ..model.world_model import WorldModel
from .atari import TIME_LIMIT, Game
from .replay import Replay


@torch.no_grad()
def sample_actions(
    model: WorldModel,
    policy: ActorCritic,
    observations: Array,
    generator: torch.Generator | None = None,
) -> Array:
    """`(n,)` sampled actions in `(n, 4, 64, 64)` bytes, whose latents are modes."""
    device = model.get_buffer("reward_scale").device
    scaled = model.observation.scale(torch.as_tensor(observations, device=device))
    latents = model.latents.mode(model.observation.encode(scaled))
    actions, _ = policy.act(latents, policy.draw_noise((len(latents),), generator))
    return np.asarray(actions.argmax(dim=-1).cpu().numpy())


class Collector:
    """Plays one game into a replay, game after game.

    A lost life ends an episode, but not the game; the next life has a stack of frames and a time limit of its own.
    """

    def __init__(self, game: Game, replay: Replay, run: TrainingRun, no_ops: int) -> None:
        """Play `game` into `replay`; each game without FIRE begins with 1 to `no_ops` frames of doing nothing."""
        self.replay = replay
        self._steps = 0  # of this life
        self._game, self._run, self._no_ops = game, run, no_ops

    def observation(self) -> Array:
        """What the next action sees: the last four frames, `(4, 64, 64)` bytes."""
        if not self.replay.begun:
            self.replay.begin(self._reset())
        return self.replay.stack_frames(np.asarray(self.replay.size))

    def step(self, action: int) -> None:
        """Act once, after `observation`."""
        outcome = self._game.step(action)
        self._steps += 1
        terminated = outcome.over or outcome.life_lost
        truncated = self._steps >= TIME_LIMIT and not terminated
        if terminated or truncated:
            self._steps = 0
        self.replay.append(
            action,
            outcome.reward,
            terminated=terminated,
            truncated=truncated,
            frame=self._reset() if outcome.over or truncated else outcome.frame,
        )

    def state_dict(self) -> dict[str, Any]:
        """Where game and replay are."""
        return {
            "game": dict(self._game.state_dict()),
            "replay": self.replay.state_dict(),
            "steps": self._steps,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any], /) -> None:
        """Put back what `state_dict` returned."""
        self._game.load_state_dict(state_dict["game"])
        self.replay.load_state_dict(state_dict["replay"])
        self._steps = int(state_dict["steps"])

    def _reset(self) -> Array:
        if not self._no_ops:
            return self._game.reset()
        generator = self._run.generator(self._game.name, "no-ops", self.replay.size)
        return self._game.reset(int(generator.integers(1, self._no_ops + 1)))


def play_games(model: WorldModel, policy: ActorCritic, games: Sequence[Game], seed: int) -> Array:
    """Play each game once to its end, all at the same time.

    A life lost ends nothing and leaves the stack of frames as it is; each game is cut at the time limit; all are waited
    for: short games count no more often.

    Args:
        model: the world model, of which the encoder is used.
        policy: whose actions are sampled.
        games: the games.
        seed: of the sampling.

    Returns:
        `(games,)` sums of rewards.
    """
    generator = torch.Generator(model.get_buffer("reward_scale").device).manual_seed(seed)
    stacks = np.stack([np.repeat(game.reset()[None], FRAMES[0], axis=0) for game in games])
    scores, playing = np.zeros(len(games)), np.ones(len(games), bool)
    for _ in range(TIME_LIMIT):
        if not playing.any():
            break
        actions = sample_actions(model, policy, stacks, generator)
        for lane in np.flatnonzero(playing).tolist():
            outcome = games[lane].step(int(actions[lane]))
            scores[lane] += outcome.reward
            playing[lane] = not outcome.over
            stacks[lane] = np.concatenate([stacks[lane, 1:], outcome.frame[None]])
    return scores
