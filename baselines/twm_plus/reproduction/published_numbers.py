"""The 26 games of the paper: random and human scores, and what is known of the reported ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from metabench import Array


@dataclass(frozen=True)
class ReportedGame:
    """What others scored in a game.

    Attributes:
        rom: the game's name in ale-py.
        random: score of random actions.
        human: score of the professional tester by whom scores are normalised.
        lowest_seed: the lowest mean score of the paper's five seeds, where it is known.
        highest_seed: the highest.
    """

    rom: str
    random: float
    human: float
    lowest_seed: float | None = None
    highest_seed: float | None = None

    def normalise(self, score: float) -> float:
        """Human-normalised score: 0 as random actions, 1 as the human."""
        return (score - self.random) / (self.human - self.random)


GAMES: Mapping[str, ReportedGame] = {
    "Alien": ReportedGame("alien", 227.8, 7127.7),
    "Amidar": ReportedGame("amidar", 5.8, 1719.5),
    "Assault": ReportedGame("assault", 222.4, 742.0),
    "Asterix": ReportedGame("asterix", 210.0, 8503.3),
    "BankHeist": ReportedGame("bank_heist", 14.2, 753.1, 144.0, 955.0),
    "BattleZone": ReportedGame("battle_zone", 2360.0, 37187.5),
    "Boxing": ReportedGame("boxing", 0.1, 12.1),
    "Breakout": ReportedGame("breakout", 1.7, 30.5),
    "ChopperCommand": ReportedGame("chopper_command", 811.0, 7387.8),
    "CrazyClimber": ReportedGame("crazy_climber", 10780.5, 35829.4),
    "DemonAttack": ReportedGame("demon_attack", 152.1, 1971.0),
    "Freeway": ReportedGame("freeway", 0.0, 29.6, 0.0),
    "Frostbite": ReportedGame("frostbite", 65.2, 4334.7, 257.0, 3158.0),
    "Gopher": ReportedGame("gopher", 257.6, 2412.5),
    "Hero": ReportedGame("hero", 1027.0, 30826.4),
    "Jamesbond": ReportedGame("jamesbond", 29.0, 302.8),
    "Kangaroo": ReportedGame("kangaroo", 52.0, 3035.0),
    "Krull": ReportedGame("krull", 1598.0, 2665.5),
    "KungFuMaster": ReportedGame("kung_fu_master", 258.5, 22736.3),
    "MsPacman": ReportedGame("ms_pacman", 307.3, 6951.6),
    "Pong": ReportedGame("pong", -20.7, 14.6),
    "PrivateEye": ReportedGame("private_eye", 24.9, 69571.3),
    "Qbert": ReportedGame("qbert", 163.9, 13455.0),
    "RoadRunner": ReportedGame("road_runner", 11.5, 7845.0),
    "Seaquest": ReportedGame("seaquest", 68.4, 42054.7),
    "UpNDown": ReportedGame("up_n_down", 533.4, 11693.2, 3900.0, 54700.0),
}
"""By the names that papers use. Random and human scores are those of DeepMind's DQN Zoo, compared one by one."""

AGGREGATES: Mapping[str, tuple[float, float | None, float | None]] = {
    "mean": (0.956, 0.86, 1.05),
    "median": (0.505, 0.33, 0.58),
    "interquartile mean": (0.459, 0.40, 0.52),
    "optimality gap": (0.513, None, None),
    "games above the human": (8.0, None, None),
}
"""Human-normalised scores of the paper over 26 games and five seeds, with 95 % bootstrap intervals over seeds."""


def make_aggregate_rows(normalised: Array) -> list[dict[str, Any]]:
    """The paper's aggregates over all games beside those of `(games,)` human-normalised scores of ours."""
    ours = {
        "mean": normalised.mean(),
        "median": np.median(normalised),
        "interquartile mean": stats.trim_mean(normalised, 0.25),
        "optimality gap": (1.0 - normalised).clip(min=0.0).mean(),
        "games above the human": (normalised > 1.0).sum(),
    }
    return [
        {
            "aggregate": name,
            "ours": float(ours[name]),
            "our_games": len(normalised),
            "reported": reported,
            "reported_low": low,
            "reported_high": high,
        }
        for name, (reported, low, high) in AGGREGATES.items()
    ]
