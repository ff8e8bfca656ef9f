"""The experiment of the paper, repeated: Atari games with a budget of steps, scored by whole games.

The rows are of five kinds: final scores, scores while learning, losses, imagined against real reward, and aggregates of
human-normalised scores beside the paper's.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from metabench import Array, Config, Spaces, TrainingRun

from ..config import TWMConfig
from ..inspect.diagnostics import measure_imagined_return
from ..model.observation_model import FRAMES
from .atari import TIME_LIMIT, AtariGame, Game
from .online import PUBLISHED_PREFILL, PUBLISHED_STEPS, PUBLISHED_UPDATES, OnlineLearner, Schedule
from .play import Collector, play_games
from .published_numbers import GAMES, make_aggregate_rows
from .replay import Replay
from .sizes import SIZES

TOGETHER = 10
"""Games that are played at the same time for a score."""

COMPARED = 128
"""Real sequences whose reward is compared with the imagined one."""

GameMaker = Callable[[str, int], Game]
"""Makes a game from its name and a seed."""


class TWMReproduceConfig(Config):
    """Which games, how long, and how large a model."""

    game: str = Field(
        default="Pong", description="games of the paper, separated by commas, or `all`"
    )
    steps: int = Field(
        default=PUBLISHED_STEPS, ge=1, description="steps of a game, of four frames each"
    )
    size: Literal["paper", "M", "S"] = Field(
        default="paper", description="of the world model and its batches"
    )
    updates_per_step: float = Field(
        default=PUBLISHED_UPDATES / (PUBLISHED_STEPS - PUBLISHED_PREFILL),
        gt=0,
        description="updates of world model, actor and critic a step after the random ones; pretraining goes with it",
    )
    random_share: float = Field(
        default=PUBLISHED_PREFILL / PUBLISHED_STEPS,
        gt=0,
        lt=1,
        description="share of steps, the first, at random",
    )
    no_ops: int = Field(
        default=30,
        ge=0,
        description="most frames of doing nothing at the beginning of a played game without FIRE",
    )
    evaluation_interval: int = Field(
        default=5_000,
        ge=0,
        description="steps between evaluations in the loop; 0: none but before it and at the end",
    )
    interval_episodes: int = Field(
        default=10, ge=1, description="games of each of these evaluations"
    )
    episodes: int = Field(default=100, ge=1, description="games of the final evaluation")

    @field_validator("game")
    @classmethod
    def _refuse_unknown(cls, value: str) -> str:
        """Refuse unknown games; upper and lower case are the same."""
        known = {name.lower(): name for name in GAMES}
        names = (
            list(GAMES)
            if value.strip().lower() == "all"
            else [part.strip() for part in value.split(",")]
        )
        for name in names:
            if name.lower() not in known:
                nearest = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.4)
                hint = (
                    f"did you mean {known[nearest[0]]!r}?"
                    if nearest
                    else f"known: {', '.join(GAMES)}"
                )
                raise ValueError(f"unknown game {name!r}; {hint}")
        return ",".join(dict.fromkeys(known[name.lower()] for name in names))

    @model_validator(mode="after")
    def _refuse_too_few_steps(self) -> TWMReproduceConfig:
        context, random = SIZES[self.size].window, round(self.steps * self.random_share)
        if random < context:
            raise ValueError(
                f"{random} random steps (steps * random_share) are shorter than the context of size {self.size}: "
                f"expected at least {context}; take steps >= {math.ceil(context / self.random_share)}"
            )
        return self

    @property
    def schedule(self) -> Schedule:
        """How many steps and updates each game gets."""
        random = round(self.steps * self.random_share)
        updates = max(1, round((self.steps - random) * self.updates_per_step))
        return Schedule(self.steps, random, updates, self.evaluation_interval)


class _Scores:
    """Scores of the final games so far: what a stopped evaluation goes on with."""

    def __init__(self) -> None:
        self.scores: list[float] = []

    def state_dict(self) -> dict[str, Any]:
        """The scores."""
        return {"scores": self.scores}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Put them back."""
        self.scores = list(state_dict["scores"])


def reproduce_twm(
    config: TWMReproduceConfig,
    run: TrainingRun,
    make_game: GameMaker = AtariGame,
    sizes: Mapping[str, TWMConfig] = SIZES,
) -> list[dict[str, Any]]:
    """Rows of the experiment's tables; resumes what was stopped.

    Raises:
        MetabenchError: ale-py is not installed.
        DataError: a game's frames or rewards are not what is expected, or a checkpoint is damaged.
    """
    games = [
        _play_game(config, sizes[config.size], name, run, make_game)
        for name in config.game.split(",")
    ]
    normalised = np.array([compared["human_normalised"] for _, compared, *_ in games])
    return [row for rows in games for row in rows] + make_aggregate_rows(normalised)


def _play_game(
    config: TWMReproduceConfig,
    model_config: TWMConfig,
    name: str,
    run: TrainingRun,
    make_game: GameMaker,
) -> list[dict[str, Any]]:
    """Rows of one game; those of its final score come first."""
    schedule = config.schedule
    game = make_game(name, int(run.generator(name, "game").integers(2**31)))
    spaces = Spaces(int(np.prod(FRAMES)), TIME_LIMIT, num_actions=game.num_actions)
    replay = Replay(schedule.steps, game.num_actions, run, name)
    learner = OnlineLearner(model_config, spaces, Collector(game, replay, run, config.no_ops), run)

    def score_games(count: int, *purpose: int | str) -> Array:
        """Of `count` games with seeds of their own."""
        generator = run.generator(name, "play", *purpose)
        games = [make_game(name, int(generator.integers(2**31))) for _ in range(count)]
        return play_games(learner.model, learner.policy, games, int(generator.integers(2**31)))

    def evaluate() -> None:
        parts = [
            score_games(min(TOGETHER, config.interval_episodes - first), replay.size, first)
            for first in range(0, config.interval_episodes, TOGETHER)
        ]
        run.log(env_steps=replay.size, score=float(np.concatenate(parts).mean()))

    learner.train(name, schedule, evaluate)
    final = _Scores()
    for part in run.steps(f"{name}-evaluation", -(-config.episodes // TOGETHER), final=final):
        left = config.episodes - len(final.scores)
        final.scores += score_games(min(TOGETHER, left), "final", part).tolist()
    return [
        *_make_score_rows(config, schedule, name, np.array(final.scores)),
        *_make_curve_rows(config, name, run),
        *_make_loss_rows(name, run),
        *_make_imagined_rows(model_config, learner, name, run),
    ]


def _make_score_rows(
    config: TWMReproduceConfig, schedule: Schedule, name: str, scores: Array
) -> list[dict[str, Any]]:
    """The final score, and the same beside those of others."""
    known, score = GAMES[name], float(scores.mean())
    ours = {
        "game": name,
        "size": config.size,
        "steps": schedule.steps,
        "updates": schedule.updates,
        "games": len(scores),
        "score": score,
        "deviation": float(scores.std(ddof=1)) if len(scores) > 1 else None,
        "lowest": float(scores.min()),
        "highest": float(scores.max()),
    }
    others = {
        "game": name,
        "score": score,
        "human_normalised": known.normalise(score),
        "random": known.random,
        "human": known.human,
        "reported_low": known.lowest_seed,
        "reported_high": known.highest_seed,
    }
    return [ours, others]


def _make_curve_rows(
    config: TWMReproduceConfig, name: str, run: TrainingRun
) -> list[dict[str, Any]]:
    """Scores while learning; those after pretraining come first."""
    return [
        {
            "game": name,
            "steps": int(row["env_steps"]),
            "games": config.interval_episodes,
            "score": row["score"],
            "human_normalised": GAMES[name].normalise(row["score"]),
        }
        for row in run.curve
        if row["stage"] == f"{name}-online" and "score" in row
    ]


def _make_loss_rows(name: str, run: TrainingRun) -> list[dict[str, Any]]:
    """Each loss at its first update of all, and at the first and last updates of the loop (means of tenths)."""
    stages = [
        row for row in run.curve if row["stage"].startswith(f"{name}-") and "score" not in row
    ]
    loop = [row for row in stages if row["stage"] == f"{name}-online"]
    tenth = max(1, len(loop) // 10)
    return [
        {
            "game": name,
            "loss": key,
            "first_update": next(row[key] for row in stages if key in row),
            "loop_begins": float(np.mean([row[key] for row in loop[:tenth]])),
            "loop_ends": float(np.mean([row[key] for row in loop[-tenth:]])),
        }
        for key in loop[0]
        if key not in ("stage", "update")
    ]


def _make_imagined_rows(
    config: TWMConfig, learner: OnlineLearner, name: str, run: TrainingRun
) -> list[dict[str, Any]]:
    """Sums of rewards over a horizon in one episode: real, imagined under the same actions, and under the actor's."""
    length = config.burn_in + config.horizon
    starts = run.generator(name, "imagined").permutation(learner.replay.find_whole(length))[
        :COMPARED
    ]
    if not len(starts):  # all episodes are shorter
        return []
    windows = learner.replay.gather_sequences(starts, length, run.device)
    compared = measure_imagined_return(
        config, learner.model, learner.policy, windows, config.burn_in, config.horizon, run
    )
    return [{"game": name, "sequences": len(starts), **compared}]
