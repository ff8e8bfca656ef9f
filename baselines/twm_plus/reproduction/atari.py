"""Atari games as the paper plays them: four frames an action, 64 x 64 grey, FIRE begins, no sticky actions.

Gymnasium's `AtariPreprocessing` is not used: it needs OpenCV for the same means over areas, shows old pixels where a
game ends within an action, and cannot be put back to where it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from metabench import Array, MetabenchError

from .published_numbers import GAMES

SIDE = 64
"""Height and width of a frame."""

FRAME_SKIP = 4
"""Frames that an action is held; the last two of them are pooled by their maximum."""

TIME_LIMIT = 27_000
"""Steps after which a life is cut while learning, and a game at evaluation."""


@dataclass(frozen=True)
class GameOutcome:
    """What one step led to.

    Attributes:
        frame: `(64, 64)` bytes after the step; after FIRE, where that follows a lost life.
        reward: what the game paid, as it is.
        life_lost: a life was lost; the game may go on.
        over: the game is over.
    """

    frame: Array
    reward: float
    life_lost: bool
    over: bool


class Game(Protocol):
    """One game that is played frame by frame; its state can be taken and put back."""

    name: str
    num_actions: int

    def reset(self, no_ops: int = 0) -> Array:
        """Begin anew, with FIRE or with so many frames of doing nothing; the first frame, `(64, 64)` bytes."""
        ...

    def step(self, action: int) -> GameOutcome:
        """Hold action number `action` for one step; a lost life is followed by FIRE, if the game has it."""
        ...

    def state_dict(self) -> Mapping[str, Any]:
        """Where the game is."""
        ...

    def load_state_dict(self, state_dict: Mapping[str, Any], /) -> None:
        """Put back what `state_dict` returned."""
        ...


class AtariGame:
    """A game of the Arcade Learning Environment, with its minimal set of actions."""

    def __init__(self, name: str, seed: int) -> None:
        """Load the game.

        Args:
            name: one of `GAMES`.
            seed: of the emulator.

        Raises:
            MetabenchError: ale-py is not installed, or is too old to have the game.
        """
        try:
            from ale_py import Action, ALEInterface, LoggerMode, roms
        except ImportError as error:
            raise MetabenchError(
                f"game {name!r} needs ale-py, which is not installed; expected: pip install ale-py"
            ) from error
        rom = roms.get_rom_path(GAMES[name].rom)
        if rom is None:
            raise MetabenchError(
                f"game {name!r} is missing in this ale-py, expected one with its games: pip install -U ale-py"
            )
        ALEInterface.setLoggerMode(LoggerMode.Error)
        self.name = name
        self._emulator = ALEInterface()
        self._emulator.setInt("random_seed", seed % 2**31)
        self._emulator.setFloat("repeat_action_probability", 0.0)
        self._emulator.loadROM(rom)
        self._actions = self._emulator.getMinimalActionSet()
        self.num_actions = len(self._actions)
        self.fires = self._actions[1] == Action.FIRE
        """Whether FIRE is the second action: then it begins each life."""
        height, width = self._emulator.getScreenDims()
        self._rows, self._columns = _area_means(height, SIDE), _area_means(width, SIDE).T
        self._lives = 0

    def reset(self, no_ops: int = 0) -> Array:
        """Begin anew, with FIRE or, in games without it, `no_ops` frames of doing nothing.

        Returns the first frame, `(64, 64)` bytes.
        """
        self._begin()
        if self.fires:
            screen, _ = self._hold(1)
        else:
            for _ in range(no_ops):
                self._emulator.act(self._actions[0])  # to do nothing is the first, in every game
                if self._emulator.game_over():
                    self._begin()
            screen = self._emulator.getScreenGrayscale()
        self._lives = self._emulator.lives()
        return self._shrink_screen(screen)

    def step(self, action: int) -> GameOutcome:
        """Hold action number `action` for one step; a lost life is followed by FIRE, if the game has it."""
        screen, reward = self._hold(action)
        life_lost = self._emulator.lives() < self._lives
        if life_lost and self.fires and not self._emulator.game_over():
            screen, more = self._hold(1)
            reward += more
        self._lives = self._emulator.lives()
        return GameOutcome(
            frame=self._shrink_screen(screen),
            reward=reward,
            life_lost=life_lost,
            over=self._emulator.game_over(),
        )

    def state_dict(self) -> dict[str, Any]:
        """The emulator's whole state, its random numbers included."""
        state = self._emulator.cloneSystemState().serialize()
        return {
            "system": np.frombuffer(state, np.uint8),
            "lives": self._lives,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any], /) -> None:
        """Put back what `state_dict` returned."""
        from ale_py import ALEState

        self._emulator.restoreSystemState(ALEState(state_dict["system"].tobytes()))
        self._lives = int(state_dict["lives"])

    def _hold(self, action: int) -> tuple[Array, float]:
        """Four frames of an action, fewer where the game ends: the last two screens' maximum, and the reward."""
        reward, screens = 0.0, []
        for frame in range(FRAME_SKIP):
            reward += self._emulator.act(self._actions[action])
            over = self._emulator.game_over()
            if over or frame >= FRAME_SKIP - 2:
                screens.append(self._emulator.getScreenGrayscale())
            if over:
                break
        return np.asarray(np.max(screens, axis=0)), float(reward)

    def _begin(self) -> None:
        self._emulator.reset_game()
        self._lives = self._emulator.lives()

    def _shrink_screen(self, screen: Array) -> Array:
        """Means over areas, `(64, 64)` bytes."""
        return np.asarray(np.rint(self._rows @ screen.astype(np.float32) @ self._columns), np.uint8)


def _area_means(source: int, target: int) -> Array:
    """`(target, source)` weights that average a line of `source` pixels over `target` equal areas."""
    edges = np.arange(target + 1) * (source / target)
    pixels = np.arange(source)
    shared = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.asarray(shared.clip(min=0.0) * (target / source), np.float32)
