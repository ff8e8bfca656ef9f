"""Small copies of MuJoCo suites, and small Minari datasets as others record them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box
from safetensors.numpy import save_file

from metabench.suites import Suite, datasets_folder, load_suite

HORIZON, TRAJECTORIES = 25, 10
TASKS = {
    "cheetah-vel": (0, 1, 3, 45, 75),
    "cheetah-dir": (0, 1, 2, 3),
    "hopper-param": (0, 4, 45, 75),
    "ant-dir": (0, 3, 45),
}
"""Tasks of the small copies: they keep the splits of some of the suite's."""


def _small_copy(name: str, folder: Path) -> Suite:
    """A few tasks and trajectories of the built-in suite, `medium` and `expert` acted by untrained networks."""
    text = (datasets_folder() / name / "suite.toml").read_text(encoding="utf-8")
    head, *tasks = text.split("[[task]]")
    head = re.sub(r"(?m)^horizon = .*$", f"horizon = {HORIZON}", head)
    head = re.sub(r"(?m)^trajectories = .*$", f"trajectories = {TRAJECTORIES}", head)
    head = re.sub(r"(?m)^stages = .*$", f"stages = {TRAJECTORIES}", head)
    head = re.sub(r"(?m)^digest = .*\n", "", head)
    head = re.sub(r"(?ms)^\[task_distribution\..*?(?=^\[|\Z)", "", head)
    head = head.replace("episodes = 20", "episodes = 4")
    chosen = [re.sub(r"(?m)^id = \d+$", f"id = {new}", tasks[old]) for new, old in enumerate(TASKS[name])]
    (folder / name / "teachers").mkdir(parents=True)
    (folder / name / "suite.toml").write_text("[[task]]".join([head, *chosen]), encoding="utf-8")
    suite = load_suite(folder / name)
    features = suite.family.teacher_features(
        np.zeros((1, suite.spaces.observation_dim)), [suite.tasks[0].parameters]
    ).shape[1]
    for behaviour in ("medium", "expert"):
        generator = np.random.default_rng(len(behaviour))
        sizes = (features, 16, suite.spaces.action_dim)
        tensors = {"mean": np.zeros(features), "deviation": np.ones(features), "noise": np.full(sizes[-1], 0.3)}
        for layer, (wide, out) in enumerate(itertools.pairwise(sizes)):
            tensors[f"weight_{layer}"] = generator.standard_normal((wide, out)) / np.sqrt(wide)
            tensors[f"bias_{layer}"] = np.zeros(out)
        weights = {key: value.astype(np.float32) for key, value in tensors.items()}
        save_file(weights, folder / name / "teachers" / f"{behaviour}.safetensors")
    return suite


@pytest.fixture
def small_copy(tmp_path: Path) -> Callable[[str], Suite]:
    """Makes a small copy of a MuJoCo suite by name: 25 steps, 10 trajectories a task, untrained teachers."""
    return lambda name: _small_copy(name, tmp_path / "suites")


@pytest.fixture
def record(recwarn: pytest.WarningsRecorder) -> Callable[..., None]:
    """Writes a Minari dataset: `record("pend/g8-v0", episodes, observation_space=..., action_space=..., env=...)`.

    Episodes are the keyword arguments of Minari's buffers; `metadata` goes into the dataset's metadata.
    """
    import minari
    from minari.data_collector import EpisodeBuffer

    def write(
        name: str, episodes: list[dict[str, Any]], metadata: dict[str, Any] | None = None, **further: Any
    ) -> None:
        buffers = [
            EpisodeBuffer(id=number, seed=None, options=None, **{"infos": {}, **episode})
            for number, episode in enumerate(episodes)
        ]
        dataset = minari.create_dataset_from_buffers(name, buffers, **further)
        dataset.storage.update_metadata(metadata or {})

    return write


@pytest.fixture
def record_random(record: Callable[..., None]) -> Callable[..., None]:
    """Records uniformly random actions: `record_random("pend/g8-v0", "Pendulum-v1", episodes=4, g=8.0)`."""

    def write(name: str, environment: str, episodes: int = 4, metadata: Any = None, **arguments: Any) -> None:
        env = gymnasium.make(environment, **arguments)
        env.action_space.seed(0)
        record(name, [_random_episode(env, seed) for seed in range(episodes)], metadata, env=env)

    return write


def _random_episode(env: gymnasium.Env, seed: int) -> dict[str, Any]:
    observations, steps = [env.reset(seed=seed)[0]], []
    while not steps or not (steps[-1][2] or steps[-1][3]):
        action = env.action_space.sample()
        observation, *outcome, _ = env.step(action)
        observations.append(observation)
        steps.append((action, *outcome))
    actions, rewards, terminations, truncations = zip(*steps, strict=True)
    return {
        "observations": np.array(observations),
        "actions": np.array(actions),
        "rewards": list(rewards),
        "terminations": list(terminations),
        "truncations": list(truncations),
    }


WALKS = ("walks/a-v0", "walks/b-v0", "walks/c-v0")
SEEING, ACTING = Box(-np.inf, np.inf, (3,), np.float64), Box(-1.0, 1.0, (2,), np.float64)
PLAIN = "observation_dim = 3\naction_low = [-1.0, -1.0]\naction_high = [1.0, 1.0]"


def _walks_suite(folder: Path, spaces: str = PLAIN, recipe: str = "trajectories = 9", horizon: int = 6) -> Suite:
    """Two training tasks and a test task, recorded in `WALKS`."""
    ids = "\n".join(f'{task} = "{name}"' for task, name in enumerate(WALKS))
    text = f"""
format = 1
name = "walks"
version = 1
title = "Walks"
family = "gymnasium"
horizon = {horizon}
distribution = "by hand"
[spaces]
{spaces}
[evaluation]
episodes = 2
supports = 2
[datasets.medium]
{recipe}
[datasets.medium.minari]
{ids}
"""
    for task, (split, validation) in enumerate([("train", "true"), ("train", "false"), ("test", "false")]):
        text += f"""
[[task]]
id = {task}
split = "{split}"
validation = {validation}
parameters = {{ recorded = "{WALKS[task]}" }}
reference = {{ random = 0.0, expert = 10.0 }}
"""
    (folder / "walks").mkdir()
    (folder / "walks" / "suite.toml").write_text(text)
    return load_suite(folder / "walks")


def _walk(seed: int, steps: int = 6, ended: str = "truncations", **changes: Any) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    last = np.arange(steps) == steps - 1
    return {
        "observations": generator.normal(size=(steps + 1, 3)),
        "actions": generator.uniform(-1, 1, (steps, 2)),
        "rewards": generator.normal(size=steps),
        "terminations": last & (ended == "terminations"),
        "truncations": last & (ended == "truncations"),
        **changes,
    }


@pytest.fixture
def walks(record: Callable[..., None]) -> SimpleNamespace:
    """Minari datasets of made-up numbers, and a suite of them.

    `names`, their plain spaces as a suite says it (`spaces`), `episode(seed, ...)`,
    `record(name, episodes, ...)` with the plain spaces by default, `suite(folder, ...)`, and `record_all()`, which
    records 4 episodes each, of 3, 4, 5 and 6 steps, those of even number terminated, and returns them.
    """

    def write(name: str, episodes: list[dict[str, Any]], **spaces: Any) -> None:
        record(name, episodes, **{"observation_space": SEEING, "action_space": ACTING, **spaces})

    def record_all() -> list[list[dict[str, Any]]]:
        episodes = [
            [_walk(10 * task + n, steps=n + 3, ended=("terminations", "truncations")[n % 2]) for n in range(4)]
            for task in range(len(WALKS))
        ]
        for name, content in zip(WALKS, episodes, strict=True):
            write(name, content)
        return episodes

    return SimpleNamespace(
        names=WALKS,
        spaces=PLAIN,
        episode=_walk,
        record=write,
        record_all=record_all,
        suite=_walks_suite,
    )
