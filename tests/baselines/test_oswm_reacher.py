"""Reacher in the repetition of OSWM's experiment, and the published model after a prior of networks alone."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from metabench_baselines.oswm_plus.reproduction.environments import (
    collect_context,
    load_environment,
    measure_real_returns,
)
from metabench_baselines.oswm_plus.reproduction.published_numbers import find_logged_return
from metabench_baselines.oswm_plus.reproduction.reproduce import OSWMReproduceConfig, reproduce_oswm
from metabench_baselines.oswm_published import config as configurations

from metabench import MetabenchError, TrainingRun

pytestmark = pytest.mark.slow

TINY = {
    "seeds": 2,
    "context_rows": 60,
    "imagined_steps": 2_048,
    "episodes": 3,
    "error_contexts_of": "random",
    "error_contexts": 2,
    "context_sizes": "20",
    "suites": "",
    "learners": "published",
}


def test_lanes_are_gymnasium_s_reacher_each_by_itself() -> None:
    lanes = load_environment("reacher").environment()
    random = np.random.default_rng(0)
    actions = random.uniform(-1, 1, (50, 3, 2)).astype(np.float32)
    seen, earned = [lanes.reset([{}] * 3, [5, 6, 5])], []
    for action in actions:
        step = lanes.step(action)
        seen.append(step.observation)
        earned.append(step.reward)
        assert not step.terminated.any()
    plain = gymnasium.make("Reacher-v5")
    for lane, seed in enumerate((5, 6, 5)):
        observation, _ = plain.reset(seed=seed)
        np.testing.assert_allclose(seen[0][lane], observation, rtol=1e-6)
        for timestep, action in enumerate(actions[:, lane]):
            observation, reward, _, over, _ = plain.step(action)
            np.testing.assert_allclose(seen[timestep + 1][lane], observation, atol=1e-4)
            assert earned[timestep][lane] == pytest.approx(reward, abs=1e-4)
        assert over  # its limit is our horizon
    alone = load_environment("reacher").environment()
    alone.reset([{}], [6])
    for timestep, action in enumerate(actions[:, 1:2]):
        np.testing.assert_array_equal(alone.step(action).observation[0], seen[timestep + 1][1])


def test_the_expert_reaches_and_random_actions_do_not() -> None:
    """Published: -4.5, and -41.6 in version 4."""
    reacher, random = load_environment("reacher"), np.random.default_rng(0)
    teacher, seeds = reacher.teacher(), list(range(60))
    expert = measure_real_returns(reacher, lambda step: teacher.act(step.observation).astype(np.float32), seeds)
    idle = measure_real_returns(reacher, lambda step: reacher.spaces.uniform_actions(random, (60,)), seeds)
    assert -5.0 < expert.mean() < -3.0
    assert -48.0 < idle.mean() < -38.0


@pytest.mark.parametrize("kind", ["random", "expert", "p-expert", "mixture"])
def test_contexts_of_reacher_are_whole_episodes(kind: str) -> None:
    collected = collect_context(load_environment("reacher"), kind, 130, np.random.default_rng(1))
    assert sum(len(episode) for episode in collected.episodes) == 130
    assert all(episode.truncated and episode.observations.shape[1] == 10 for episode in collected.episodes)
    reached = [np.linalg.norm(e.observations[-1, -2:]) for e in collected.episodes if len(e) == 50]
    assert not reached or (max(reached) < 0.03) == (kind == "expert")


def test_reacher_has_its_rows_beside_the_published_ones() -> None:
    config = OSWMReproduceConfig(**TINY, environments="reacher", models="ridge-model", oracles="published")
    rows = reproduce_oswm(config, TrainingRun(0))
    returns = rows[0]
    assert (returns["logged_mean"], returns["random"], returns["learned_in_real"]) == (-75.4, -41.6, -4.5)
    assert returns["mean"] < 0
    axes = [row["axis"] for row in rows if "axis" in row and row["random_actions"] == 1.0]
    assert len(axes) == 11
    assert next(row["logged_proxy_loss"] for row in rows if "logged_proxy_loss" in row) == 0.628


def test_the_prior_of_networks_alone_is_a_model_of_its_own(monkeypatch, tmp_path) -> None:
    """Trained in one run with the other, each from its own checkpoint, and shown beside its own published numbers."""
    small = {"cpu": configurations.SMALL_PRETRAINING["tiny"]}
    monkeypatch.setattr("metabench_baselines.oswm_plus.reproduction.models.SMALL_PRETRAINING", small)
    both = "oswm-published-small,networks-only-small"
    config = OSWMReproduceConfig(**TINY, environments="simple-env", models=both)
    run = TrainingRun(0, folder=tmp_path)
    rows = reproduce_oswm(config, run)
    stages = {row["stage"] for row in run.curve}
    assert {"pretraining", "networks-only pretraining"} <= stages
    losses = {stage: [row["loss"] for row in run.curve if row["stage"] == stage] for stage in stages}
    assert losses["pretraining"] != losses["networks-only pretraining"]
    logged = {row["model"]: row["logged_mean"] for row in rows if "logged_mean" in row}
    assert logged == {"oswm-published-small": -8.25, "networks-only-small": -15.0}
    errors = {
        row["model"]: row["proxy_loss"] for row in rows if row.get("random_actions") == 1.0 and "proxy_loss" in row
    }
    assert errors["oswm-published-small"] != errors["networks-only-small"]
    assert find_logged_return("simple-env", "expert", networks_only=True) is None
    with pytest.raises(MetabenchError, match="model 'networks-only': expected networks_weights"):
        reproduce_oswm(OSWMReproduceConfig(**TINY, models="networks-only"), TrainingRun(0))
