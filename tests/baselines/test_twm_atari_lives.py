"""TWM's experiment on Atari: where lives and games are cut."""

from __future__ import annotations

import numpy as np
from metabench_baselines.twm_plus.actor_critic import ActorCritic
from metabench_baselines.twm_plus.model.world_model import WorldModel
from metabench_baselines.twm_plus.reproduction import play
from metabench_baselines.twm_plus.reproduction.atari import GameOutcome
from metabench_baselines.twm_plus.reproduction.play import Collector, play_games
from metabench_baselines.twm_plus.reproduction.replay import Replay

from metabench import Spaces, TrainingRun

from .test_twm_atari import TINY, Dot


class Calm(Dot):
    """A life is lost at the 8th step of a game that never ends by itself."""

    def step(self, action: int) -> GameOutcome:
        self.place += 1
        return GameOutcome(self.frame(), 0.0, self.place == 8, False)


def test_each_life_has_a_time_limit_of_its_own_after_which_a_new_game_begins(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(play, "TIME_LIMIT", 6)
    run, game = TrainingRun(0, folder=tmp_path), Calm()

    def collect(upto: int, state: dict[str, object] | None = None) -> Collector:
        collector = Collector(game, Replay(30, 2, run, "Calm"), run, 0)
        if state is not None:
            collector.load_state_dict(state)
        while collector.replay.size < upto:
            collector.observation()
            collector.step(0)
        return collector

    windows = collect(20).replay.gather_sequences(np.array([0]), 20, "cpu")
    # Cut at 6; a new game, again cut at 6, and so on: no life of it lives to its 8th step.
    assert windows.ended[0].nonzero().flatten().tolist() == [5, 11, 17]
    assert not windows.terminated.any()

    monkeypatch.setattr(play, "TIME_LIMIT", 10)
    game = Calm()
    collector = collect(5)
    whole = collect(20, collector.state_dict()).replay.gather_sequences(np.array([0]), 20, "cpu")
    assert whole.ended[0].nonzero().flatten().tolist() == [7, 17]  # counted anew from the lost life on
    assert whole.terminated[0].nonzero().flatten().tolist() == [7]
    assert game.games == 2


def test_an_evaluated_game_is_cut_at_its_limit(monkeypatch) -> None:
    monkeypatch.setattr(play, "TIME_LIMIT", 9)
    spaces = Spaces(4 * 64 * 64, 100, num_actions=2)
    model, policy = WorldModel(TINY, spaces), ActorCritic(TINY, spaces)
    game = Calm()
    play_games(model, policy, [game], 0)
    assert game.place == 9
