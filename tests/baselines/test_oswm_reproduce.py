"""The repetition of OSWM's experiment: its contexts, rules and tables, checked against the environments themselves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from metabench_baselines.common.planning.rows import Answers, DynamicsModel, Reader, Rows
from metabench_baselines.oswm_plus.reproduction import priors
from metabench_baselines.oswm_plus.reproduction.environments import (
    CUT,
    ENDED,
    MIXTURES,
    CollectedContext,
    collect_context,
    draw_real_starts,
    load_environment,
    measure_real_returns,
)
from metabench_baselines.oswm_plus.reproduction.errors import make_error_rows, make_size_rows
from metabench_baselines.oswm_plus.reproduction.published_numbers import STATE_AXES
from metabench_baselines.oswm_plus.reproduction.reproduce import OSWMReproduceConfig, reproduce_oswm
from metabench_baselines.oswm_plus.reproduction.returns import Trial
from torch import Tensor

from metabench import MetabenchError, TrainingRun, load_suite

pytestmark = pytest.mark.slow


TINY = {
    "environments": "simple-env",
    "models": "ridge-model",
    "seeds": 2,
    "context_rows": 60,
    "imagined_steps": 2_048,
    "episodes": 3,
    "error_contexts_of": "random",
    "error_contexts": 2,
    "context_sizes": "20,40",
    "suites": "",
}


class StayingReader(Reader):
    """A model in which states stay and every episode ends at once; it remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Tensor] = []

    def read(self, context: Rows) -> DynamicsModel:
        def predict(observations: Tensor, actions: Tensor) -> Answers:
            self.asked.append(observations)
            none = torch.zeros(observations.shape[:2])
            return Answers(observations, torch.zeros_like(observations), none, none, torch.ones_like(none))

        return predict


def context(name: str, kind: str, rows: int) -> CollectedContext:
    return collect_context(load_environment(name), kind, rows, np.random.default_rng(1))


@pytest.mark.parametrize("name", STATE_AXES)
@pytest.mark.parametrize("kind", MIXTURES)
def test_contexts_are_short_episodes_of_the_real_task(name: str, kind: str) -> None:
    suite, rows = load_environment(name), 301
    episodes = context(name, kind, rows).episodes
    assert sum(len(episode) for episode in episodes) == rows
    assert max(len(episode) for episode in episodes) <= min(CUT, suite.spaces.horizon)
    random = np.random.default_rng(2)
    assert len(context(name, kind, rows).starts) == sum(
        episode.truncated or not _after(episode) for episode in episodes
    )
    for episode in episodes:
        assert episode.observations.shape == (len(episode) + 1, suite.spaces.observation_dim)
        assert not (episode.terminated and episode.truncated)
    again = collect_context(suite, kind, rows, random).episodes
    assert not np.array_equal(episodes[0].observations, again[0].observations)


def _after(episode: Any) -> bool:
    """Whether it is a step after an end: only those of cartpole earn nothing."""
    return len(episode) == 1 and episode.rewards[0] == 0.0 and episode.terminated


@pytest.mark.parametrize(("kind", "share"), [("random", 0.5), ("expert", 1.0), ("p-expert", 0.75), ("mixture", 0.75)])
def test_contexts_act_as_their_kind_says(kind: str, share: float) -> None:
    """Mountain-car's expert pushes right or left as the car goes; of three actions a random one is right by a third."""
    episodes = context("mountain-car", kind, 3_000).episodes
    speed = np.concatenate([episode.observations[:-1, 1] for episode in episodes])
    acted = np.concatenate([episode.actions for episode in episodes])
    agrees = float(np.mean(acted == np.where(speed < 0, 0, 2)))
    random = {"random": 1.0, "expert": 0.0, "p-expert": 0.5, "mixture": 0.5}[kind]
    assert agrees == pytest.approx(1.0 - random * 2.0 / 3.0, abs=0.04)
    assert share == pytest.approx(1.0 - random / 2.0)


def test_cartpole_goes_on_for_four_steps_that_earn_nothing() -> None:
    episodes = context("cartpole", "random", 1_000).episodes[:-1]
    firsts = [number for number, episode in enumerate(episodes) if not _after(episode)]
    for first, following in zip(firsts, [*firsts[1:], len(episodes)], strict=True):
        steps = following - first - 1
        assert steps == (min(4, CUT - len(episodes[first])) if episodes[first].terminated else 0)
        for before, after in zip(episodes[first:following], episodes[first + 1 : following], strict=False):
            np.testing.assert_array_equal(before.observations[-1], after.observations[0])
        assert (episodes[first].rewards == 1.0).all()


@pytest.mark.parametrize("name", ["grid-world", "cartpole", "mountain-car", "pendulum", "simple-env"])
def test_hand_written_ends_are_those_of_the_environment(name: str) -> None:
    suite = load_suite(name)
    for kind in ("random", "mixture"):
        for episode in context(name, kind, 2_000).episodes:
            ended = ENDED[name](torch.from_numpy(episode.observations[1:]))
            assert ended[:-1].sum() == 0
            assert bool(ended[-1]) == episode.terminated, (episode.observations[-1], suite.name)


def test_real_returns_stop_at_the_end_and_at_the_horizon() -> None:
    grid, car = load_suite("grid-world"), load_suite("mountain-car")
    right = measure_real_returns(grid, lambda step: np.zeros(len(step.observation), np.int64), [1, 2, 3])
    np.testing.assert_allclose(right, sum(-1 + 0.01 * x for x in (2, 3, 4, 5, 6)) + 10)
    left = measure_real_returns(grid, lambda step: np.ones(len(step.observation), np.int64), [1])
    np.testing.assert_allclose(left, [-11.0])
    idle = measure_real_returns(car, lambda step: np.ones(len(step.observation), np.int64), [1, 2])
    assert idle.tolist() == [-200.0, -200.0]
    swinging = measure_real_returns(car, lambda step: np.where(step.observation[:, 1] < 0, 0, 2), list(range(20)))
    assert float(swinging.mean()) == pytest.approx(-119.5, abs=5.0)


@pytest.mark.parametrize("oracles", [False, True])
def test_real_resets_serve_the_oracle_only(oracles: bool) -> None:
    suite, reader, run = load_suite("pendulum"), StayingReader(), TrainingRun(0)
    trial = Trial(suite, "staying", "random", 100, "published", oracles, False, 1_024, 2, 2)
    row = trial.row(reader, 1_000, run)
    assert row["oracles"] == ("published" if oracles else "none")
    for seed, begun in enumerate(asked[0].numpy() for asked in reader.asked[2:4]):  # after the two contexts
        context = collect_context(suite, "random", 100, run.generator("context", "pendulum", "random", seed)).starts
        resets = draw_real_starts(suite, 1_000, run.generator("resets", "pendulum", seed))
        assert len(begun) == 64
        assert among(begun, resets if oracles else context).all()
        assert not among(begun, context if oracles else resets).any()


def among(rows: np.ndarray, known: np.ndarray) -> np.ndarray:
    return np.array([(np.abs(known - row).max(1) == 0.0).any() for row in rows])


def test_a_model_in_which_all_stays_errs_as_no_model() -> None:
    suite, run = load_suite("pendulum"), TrainingRun(0)
    rows = make_error_rows(suite, "staying", StayingReader(), 1_000, "random", 100, 2, run)
    losses, axes = rows[:3], rows[3:]
    assert [row["random_actions"] for row in losses] == [1.0, 0.5, 0.0]
    assert losses[0]["logged_proxy_loss"] == 0.0305
    for loss in losses:
        same = [row for row in axes if row["random_actions"] == loss["random_actions"]]
        assert [row["axis"] for row in same] == ["cosine", "sine", "angular speed", "reward"]
        for row in same[:3]:
            assert row["squared_error"] == pytest.approx(row["without_model"], rel=1e-6)
        assert loss["proxy_loss"] == pytest.approx(sum(row["squared_error"] for row in same) / 14)
    (size,) = make_size_rows(suite, "staying", StayingReader(), 30, 50, 2, run)
    assert (size["context_rows"], size["rows_read"]) == (50, 30)
    assert size["state_error_share"] == pytest.approx(1.0)


def tables(rows: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    kinds = dict.fromkeys(tuple(row) for row in rows)
    return [[row for row in rows if tuple(row) == kind] for kind in kinds]


@pytest.mark.slow
def test_all_tables_are_made_and_a_stopped_run_goes_on(tmp_path: Any) -> None:
    config = OSWMReproduceConfig(**TINY, oracles="both", best_by_real=True)
    run = TrainingRun(3, folder=tmp_path)
    rows = reproduce_oswm(config, run)
    returns, losses, axes, sizes = tables(rows)
    assert [(row["learner"], row["oracles"]) for row in returns] == [
        ("published", "none"),
        ("published", "published"),
        ("tuned", "none"),
        ("tuned", "published"),
    ]
    for row in returns:
        assert (row["logged_mean"], row["logged_best_by_real"], row["solved"]) == (-8.25, -2.31, -7.6)
        assert row["median"] == pytest.approx(row["mean"])  # of two seeds
        assert row["best_by_real"] is not None
    assert (len(losses), len(axes), [row["context_rows"] for row in sizes]) == (3, 6, [20, 40])
    assert sizes[1]["state_error_share"] < 0.1  # a linear environment
    json.dumps(rows, allow_nan=False)
    assert reproduce_oswm(config, TrainingRun(3, folder=tmp_path)) == rows  # from the checkpoint
    short = OSWMReproduceConfig(**{**TINY, "error_contexts_of": "", "context_sizes": "", "learners": "tuned"})
    (row,) = reproduce_oswm(short, TrainingRun(3))
    assert row == {**returns[2], "best_by_real": None}


def test_priors_are_described_beside_suites(tiny_built: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(priors, "ENVIRONMENTS", 32)
    rows = reproduce_oswm(OSWMReproduceConfig(**{**TINY, "environments": "", "suites": "tiny"}), TrainingRun(0))
    share = {row["worlds"]: row["action's share, quantile 0.5"] for row in rows}
    assert list(share)[-1] == "tiny"
    assert share["prior of oswm-published"] < 0.03  # actions hardly matter there
    assert share["prior of oswm-plus"] > 2 * share["prior of oswm-published"]
    assert share["tiny"] > 0.5  # the action is a velocity


def test_the_planner_may_take_the_policies_place() -> None:
    parts = {"learners": "planner", "models": "gp-model", "error_contexts_of": "", "context_sizes": ""}
    (row,) = reproduce_oswm(OSWMReproduceConfig(**{**TINY, **parts, "seeds": 1, "episodes": 2}), TrainingRun(0))
    assert row["imagined"] is None
    assert row["mean"] > -60.0  # random actions: -252


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("environments", "cartpol", "did you mean 'cartpole'"),
        ("models", "gp-modell", "did you mean 'gp-model'"),
        ("contexts", "zzz", "known: random"),
        ("context_sizes", "100,many", "found 'many'"),
    ],
)
def test_unknown_names_are_refused(key: str, value: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        OSWMReproduceConfig(**{key: value})


def test_the_published_size_needs_weights() -> None:
    config = OSWMReproduceConfig(**{**TINY, "models": "oswm-published"})
    with pytest.raises(MetabenchError, match="expected published_weights"):
        reproduce_oswm(config, TrainingRun(0))
