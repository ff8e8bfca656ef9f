"""TWM's experiment on Atari: the games, the published numbers, and what is refused."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from metabench_baselines.twm_plus.reproduction.atari import AtariGame
from metabench_baselines.twm_plus.reproduction.published_numbers import GAMES, make_aggregate_rows
from metabench_baselines.twm_plus.reproduction.reproduce import TWMReproduceConfig

from metabench import MetabenchError, load_method


def test_aggregates_are_computed_as_published() -> None:
    scores = np.array([-0.5, 0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 3.0])
    ours = {row["aggregate"]: row["ours"] for row in make_aggregate_rows(scores)}
    assert ours["mean"] == pytest.approx(5.5 / 8)
    assert ours["median"] == pytest.approx(0.5)
    assert ours["interquartile mean"] == pytest.approx(0.5)
    assert ours["optimality gap"] == pytest.approx((1.5 + 1.0 + 0.8 + 0.6 + 0.4 + 0.2) / 8)
    assert ours["games above the human"] == 1
    for game in GAMES.values():
        assert (game.normalise(game.random), game.normalise(game.human)) == (0.0, 1.0)
    assert len(GAMES) == 26


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"game": "pon"}, "unknown game 'pon'; did you mean 'Pong'?"),
        ({"game": "Pong,xyzzy"}, "unknown game 'xyzzy'; known: Alien"),
        ({"steps": 300}, "are shorter than the context of size paper: expected at least 17; take steps >= 340"),
    ],
)
def test_impossible_experiments_are_refused(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem.replace("?", r"\?").replace("*", r"\*")):
        TWMReproduceConfig(**changes)


def test_games_are_named_in_any_case() -> None:
    assert TWMReproduceConfig(game="pong, MSPACMAN,pong").game == "Pong,MsPacman"
    assert TWMReproduceConfig(game="all").game.split(",") == list(GAMES)
    TWMReproduceConfig(steps=340)
    assert type(load_method("twm-plus", preset="tiny", suite="tiny")).reproduction is TWMReproduceConfig


def test_without_ale_py_there_is_one_clear_line(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ale_py", None)
    with pytest.raises(MetabenchError, match=r"game 'Pong' needs ale-py.*pip install ale-py"):
        AtariGame("Pong", 0)
