"""FIRE, no-ops, lives and pooled frames of TWM's games, with a made-up emulator in place of ale-py."""

from __future__ import annotations

import enum
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from metabench_baselines.twm_plus.reproduction.atari import AtariGame


class Action(enum.Enum):
    NOOP, FIRE, LEFT = range(3)


class Emulator:
    """A ball lives eight frames once FIRE has served it, and pays in every frame; three balls are a game.

    The screen's brightness is the number of the frame, so that it tells which frames a step has pooled.
    """

    def __init__(self, actions: tuple[Action, ...]) -> None:
        self.pressed: list[Action] = []
        self._actions = list(actions)
        self.reset_game()

    def setInt(self, name: str, value: int) -> None: ...

    def setFloat(self, name: str, value: float) -> None: ...

    def loadROM(self, rom: str) -> None: ...

    def getMinimalActionSet(self) -> list[Action]:
        return self._actions

    def getScreenDims(self) -> tuple[int, int]:
        return 64, 64

    def getScreenGrayscale(self) -> np.ndarray:
        return np.full((64, 64), self.frames, np.uint8)

    def lives(self) -> int:
        return self.balls

    def game_over(self) -> bool:
        return self.balls == 0

    def reset_game(self) -> None:
        self.frames, self.balls, self.ball = 0, 3, 0
        self.pressed.append("reset")

    def act(self, action: Action) -> int:
        self.pressed.append(action)
        self.frames += 1
        if action is Action.FIRE and not self.ball:
            self.ball = 8
        playing = bool(self.ball) or Action.FIRE not in self._actions
        self.ball = max(0, self.ball - 1)
        if playing and not self.ball and Action.FIRE in self._actions:
            self.balls -= 1
        return int(playing)


@pytest.fixture
def game_of(monkeypatch):
    def make(*actions: Action) -> tuple[AtariGame, Emulator]:
        emulator = Emulator(actions)
        interface = type("Interface", (), {"__new__": lambda cls: emulator, "setLoggerMode": lambda mode: None})
        fake = SimpleNamespace(
            Action=Action,
            ALEInterface=interface,
            LoggerMode=SimpleNamespace(Error=0),
            roms=SimpleNamespace(get_rom_path=lambda name: name),
        )
        monkeypatch.setitem(sys.modules, "ale_py", fake)
        return AtariGame("Breakout", 0), emulator

    return make


def test_fire_is_pressed_after_a_reset_and_after_each_lost_life(game_of) -> None:
    game, emulator = game_of(Action.NOOP, Action.FIRE, Action.LEFT)
    emulator.pressed.clear()
    frame = game.reset(no_ops=5)
    assert emulator.pressed == ["reset"] + [Action.FIRE] * 4  # no-ops are of games without it
    assert frame.max() == 4  # the last of them
    outcomes, pressed = [], []
    for _ in range(5):
        emulator.pressed.clear()
        outcomes.append(game.step(2))
        pressed.append("".join(action.name[0] for action in emulator.pressed))
    # A ball is lost after four more frames; FIRE then serves the next, which is played for four frames, and so on.
    assert pressed[:2] == ["LLLLFFFF", "LLLLFFFF"]
    assert [outcome.life_lost for outcome in outcomes[:3]] == [True] * 3
    assert [outcome.over for outcome in outcomes[:3]] == [False, False, True]
    assert pressed[2] == "LLLL"  # the game is over: it is not served again
    assert [outcome.reward for outcome in outcomes[:3]] == [8.0, 8.0, 4.0]  # what FIRE earns is not lost
    assert outcomes[0].frame.max() == 12


def test_games_without_fire_begin_with_single_frames_of_nothing(game_of) -> None:
    game, emulator = game_of(Action.NOOP, Action.LEFT)
    emulator.pressed.clear()
    assert game.reset(no_ops=5).max() == 5
    assert emulator.pressed == ["reset"] + [Action.NOOP] * 5
    assert game.reset().max() == 0
    outcome = game.step(1)
    assert (outcome.reward, outcome.life_lost, outcome.over) == (4.0, False, False)


def test_a_game_that_ends_within_a_step_shows_how_it_ended(game_of) -> None:
    game, emulator = game_of(Action.NOOP, Action.FIRE)
    game.reset()
    emulator.balls, emulator.ball = 1, 2
    outcome = game.step(0)
    assert (outcome.over, outcome.life_lost, outcome.reward) == (True, True, 2.0)
    assert outcome.frame.max() == emulator.frames == 6
