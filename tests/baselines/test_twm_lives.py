"""Lives and limits of TWM's games: stacks and time limits while learning, and where games are scored."""

from __future__ import annotations

import numpy as np
import torch
from metabench_baselines.twm.actor_critic import ActorCritic
from metabench_baselines.twm.model.world_model import WorldModel
from metabench_baselines.twm.reproduction import play as plays
from metabench_baselines.twm.reproduction.play import Collector, play_games
from metabench_baselines.twm.reproduction.replay import Replay

from metabench import Spaces, TrainingRun

from .test_twm_atari import TINY, Dot


def test_the_stack_of_a_scored_game_goes_on_when_a_life_is_lost(monkeypatch) -> None:
    seen: list[np.ndarray] = []

    def record(model: object, policy: object, observations: np.ndarray, generator: object) -> np.ndarray:
        seen.append(observations[0].copy())
        return np.zeros(len(observations), np.int64)

    monkeypatch.setattr(plays, "sample_actions", record)
    game, spaces = Dot(), Spaces(4 * 64 * 64, 100, num_actions=2)
    play_games(WorldModel(TINY, spaces), ActorCritic(TINY, spaces), [Dot()], 3)
    stack = [game.reset()] * 4
    assert len(seen) == 15
    for observation in seen:
        np.testing.assert_array_equal(observation, np.stack(stack))
        stack = [*stack[1:], game.step(0).frame]


def test_the_time_limit_is_a_life_s_while_learning_and_a_game_s_when_scored() -> None:
    """A life of five steps is cut after three; the next one is a new game's."""
    run = TrainingRun(0)
    collector = Collector(Dot(), Replay(12, 2, run, "Dot"), run, 0, time_limit=3)
    for _ in range(12):
        collector.observation()
        collector.step(1)
    steps = collector.replay.gather_sequences(np.array([0]), 12, "cpu")
    assert steps.ended[0].tolist() == [False, False, True] * 4
    assert not steps.terminated.any()
    assert collector._game.games == 5
    patient = Collector(Dot(), Replay(15, 2, run, "Dot"), run, 0, time_limit=6)
    for _ in range(15):
        patient.observation()
        patient.step(1)
    steps = patient.replay.gather_sequences(np.array([0]), 15, "cpu")
    assert torch.equal(steps.ended, steps.terminated)  # no life has six steps, though a game has fifteen
    assert steps.ended.sum() == 3

    spaces = Spaces(4 * 64 * 64, 100, num_actions=2)
    model, policy = WorldModel(TINY, spaces), ActorCritic(TINY, spaces)
    with torch.no_grad():
        policy.actor[-1].bias[1] = 1e4  # always the paying action
    assert play_games(model, policy, [Dot()], 3, time_limit=8).tolist() == [4.0]
