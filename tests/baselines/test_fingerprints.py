"""What each built-in method makes of its preset `tiny`, by version: other results need another `Method.version`.

The numbers are averages of actions on logged observations and the last values that training logged: neither depends on
the last bits of a processor, nor on the protocol. For a raised version, write them anew:
`python -m tests.baselines.test_fingerprints`.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest

from metabench import Episode, Method, TrainingRun, load_data, load_method, load_suite
from metabench.checks.method_script import Script, act_script
from metabench.data.training_data import TrainingData
from metabench.methods.registry import find_registered_methods
from metabench.system.torch_settings import torch_settings

pytestmark = pytest.mark.slow


KEPT = Path(__file__).with_name("fingerprints.json")
METHODS = [name for name, entry in find_registered_methods().items() if entry.built_in]
GROUPS, SHOTS = (0, 0, 1, 1), 3

OF_ACTIONS = 0.05
"""How far averages of actions, scaled to [-1, 1], may be apart."""

OF_LOGGED = 0.05
"""The same of what was logged, in shares of it."""


def cut_episode(data: TrainingData, episode: int) -> Episode:
    columns, length = data.columns, int(data.lengths[episode])
    start = int(columns.offsets[episode])
    return Episode(
        observations=columns.observations[start + episode : start + episode + length + 1].copy(),
        actions=columns.actions[start : start + length].copy(),
        rewards=columns.rewards[start : start + length].copy(),
        terminated=False,
        truncated=True,
    )


def make_script(data: TrainingData, shots: int) -> Script:
    """Lanes of two groups that see logged episodes, after `shots` others each."""
    suite, lanes = load_suite("tiny"), range(len(GROUPS))
    seen = [cut_episode(data, lane) for lane in lanes]
    length = min(len(episode) for episode in seen)
    groups = dict.fromkeys(GROUPS)
    first = len(GROUPS)
    return Script(
        groups=GROUPS,
        seeds=tuple(lanes),
        tasks=tuple(suite.tasks[group].parameters for group in GROUPS),
        support={
            group: [cut_episode(data, first + SHOTS * group + shot) for shot in range(shots)]
            for group in groups
            if shots
        },
        observations=np.stack([episode.observations[:length] for episode in seen], 1),
        rewards=np.stack([np.append(np.float32(0), episode.rewards[: length - 1]) for episode in seen], 1),
        active=np.ones((length, len(GROUPS)), bool),
    )


def load_fitting(method: Method) -> TrainingData:
    """`medium`, or the first dataset that has what the method is trained on: stages, expert labels."""
    labels = method.uses_expert_labels
    fitting = load_suite("tiny").find_datasets(expert_labels=labels, stages=method.uses_stages)
    return load_data("tiny", "medium" if "medium" in fitting else fitting[0], expert_labels=labels)


def take_fingerprint(name: str, **overrides: float) -> dict[str, dict[str, float]]:
    """Averages of actions by shots and dimension, and the last values of what was logged."""
    with torch_settings(1):
        data, run = load_data("tiny", "medium"), TrainingRun(0)
        method = load_method(name, preset="tiny", suite="tiny", overrides=overrides)
        policy = method.train(load_fitting(method), run)
        actions = {}
        for shots in (0, SHOTS):
            played = act_script(policy, make_script(data, shots), data.spaces, name, method.privileged)
            for dimension in range(played.shape[-1]):
                actions[f"{shots} shots, dimension {dimension}"] = float(played[..., dimension].mean())
                actions[f"{shots} shots, dimension {dimension}, size"] = float(np.abs(played[..., dimension]).mean())
    logged = {
        f"{row['stage']} {key}": value
        for row in run.curve
        for key, value in row.items()
        if key not in ("stage", "update")
    }
    return {
        "actions": {key: round(value, 3) for key, value in actions.items()},
        "logged": {key: float(f"{value:.3g}") for key, value in logged.items()},
    }


def identify(name: str) -> str:
    return f"{name}@{load_method(name, preset='tiny').version}"


def are_alike(found: dict[str, dict[str, float]], expected: dict[str, dict[str, float]]) -> bool:
    return bool(
        found["actions"] == pytest.approx(expected["actions"], abs=OF_ACTIONS)
        and found["logged"] == pytest.approx(expected["logged"], rel=OF_LOGGED, abs=1e-3)
    )


@pytest.mark.parametrize("name", METHODS)
def test_an_unchanged_version_has_unchanged_results(tiny_built: Path, name: str) -> None:
    kept = json.loads(KEPT.read_text(encoding="utf-8"))
    assert identify(name) in kept, f"{identify(name)} has no fingerprint; see the head of this file"
    expected, found = kept[identify(name)], take_fingerprint(name)
    assert are_alike(found, expected), f"raise the version of {name!r} if this is meant: {found}, before {expected}"


def test_another_training_has_another_fingerprint(tiny_built: Path) -> None:
    kept = json.loads(KEPT.read_text(encoding="utf-8"))
    assert not are_alike(take_fingerprint("bc", learning_rate=3e-5), kept[identify("bc")])


if __name__ == "__main__":
    import os

    with tempfile.TemporaryDirectory() as place:
        os.environ.update(METABENCH_HOME=f"{place}/home", MINARI_DATASETS_PATH=f"{place}/minari")
        written = {identify(name): take_fingerprint(name) for name in METHODS}
    KEPT.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
