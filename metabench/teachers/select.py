"""From the checkpoints of a training to a suite's teacher: which checkpoint, how noisy, is which behaviour."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metabench.data.making.roll_out import roll_out
from metabench.envs import Array
from metabench.errors import DataError, MetabenchError
from metabench.seeding import derive_seed
from metabench.suites import Suite

STAGES = {"stage-1": 10.0, "stage-2": 30.0, "stage-4": 75.0}
"""Normalised scores of the checkpoints that become stages."""

MEDIUM = 50.0
"""Normalised score of `medium`: the checkpoint of `stage-4`, with noise raised until it is no better.

A weaker checkpoint would not do: early in training a policy acts alike in all tasks, and its data says nothing of them.
"""

EXPERT_NOISE = 0.2
"""The expert acts with this share of the noise that it was trained with."""

LARGEST_NOISE = 16.0
"""Largest factor that `medium` may raise the noise by."""


@dataclass(frozen=True)
class Behaviour:
    """A behaviour to install.

    Attributes:
        name: one of the teacher's behaviours.
        checkpoint: its weights.
        noise: factor of the noise that the checkpoint was trained with.
        mean_return: mean over the suite's train and test tasks.
        score: normalised score, 0 for random actions and 100 for the expert: the mean over the train tasks and that
            over the test tasks, averaged.
    """

    name: str
    checkpoint: Path
    noise: float
    mean_return: float
    score: float


def list_checkpoints(folder: Path) -> list[Path]:
    """Files `STEPS.safetensors` in `folder`, in the order of training; none if there is no such folder."""
    return sorted(folder.glob("[0-9]*.safetensors"))


def choose_behaviours(suite: Suite, folder: Path, episodes: int = 4) -> list[Behaviour]:
    """Roll out the checkpoints in `folder`; the best is the expert, the others follow from their scores.

    Args:
        suite: whose tasks to judge in; far tasks are left out.
        folder: of `train_teacher`.
        episodes: episodes a task that each checkpoint is judged by.

    Raises:
        MetabenchError: the suite uses the teachers of another.
        DataError: there are no checkpoints, or no noise makes a `medium` of them.
    """
    _check_owner(suite)
    paths = list_checkpoints(folder)
    if not paths:
        raise DataError(
            f"{folder}: expected checkpoints STEPS.safetensors of `metabench teacher train`, found none"
        )
    judge = _Judge(suite, episodes)
    returns = [judge.returns(path, 1.0) for path in paths]
    best = int(np.argmax([values.mean() for values in returns]))
    judge.expert = judge.returns(paths[best], EXPERT_NOISE)
    scores = [judge.score(values) for values in returns[: best + 1]]
    chosen = {
        name: int(np.argmin(np.abs(np.array(scores) - target))) for name, target in STAGES.items()
    }
    stages = [
        Behaviour(name, paths[index], 1.0, float(returns[index].mean()), scores[index])
        for name, index in chosen.items()
    ]
    expert = Behaviour("expert", paths[best], EXPERT_NOISE, float(judge.expert.mean()), 100.0)
    return [*stages[:2], _find_medium(judge, paths[chosen["stage-4"]]), stages[2], expert]


def install_behaviours(suite: Suite, behaviours: Sequence[Behaviour]) -> None:
    """Write the behaviours into the suite's `teachers/`, with the training's settings and curve.

    References and digests in suite.toml are then out of date: measure and build anew.

    Raises:
        MetabenchError: the suite uses the teachers of another.
    """
    _check_owner(suite)
    folder = suite.folder / "teachers"
    folder.mkdir(exist_ok=True)
    for behaviour in behaviours:
        _write_weights(
            behaviour.checkpoint, behaviour.noise, folder / f"{behaviour.name}.safetensors"
        )
    for name in ("curve.csv", "config.json"):
        shutil.copyfile(behaviours[0].checkpoint.parent / name, folder / name)


def _check_owner(suite: Suite) -> None:
    """Raise `MetabenchError` if weights in the suite's own folder would never be read."""
    owner = suite.entry.teachers
    if owner is not None:
        raise MetabenchError(
            f"suite {suite.name} uses the teachers of {owner!r}: install into {owner} instead"
        )


def _find_medium(judge: _Judge, checkpoint: Path) -> Behaviour:
    """The checkpoint with noise raised by bisection until its score is near `MEDIUM`."""
    low, high = 0.0, float(np.log(LARGEST_NOISE))
    tried: list[Behaviour] = []
    while len(tried) < 8:
        middle = (low + high) / 2.0
        noise = float(np.round(np.exp(middle), 3))
        returns = judge.returns(checkpoint, noise)
        tried.append(
            Behaviour("medium", checkpoint, noise, float(returns.mean()), judge.score(returns))
        )
        if abs(tried[-1].score - MEDIUM) < 1.0:
            break
        low, high = (middle, high) if tried[-1].score > MEDIUM else (low, middle)
    nearest = min(tried, key=lambda behaviour: abs(behaviour.score - MEDIUM))
    if abs(nearest.score - MEDIUM) > 4.0:
        raise DataError(
            f"{checkpoint}: expected noise of 1 to {LARGEST_NOISE:g} times its own to make a medium teacher"
        )
    return nearest


class _Judge:
    """Measures behaviours in a suite's train and test tasks, always with the same seeds."""

    def __init__(self, suite: Suite, episodes: int) -> None:
        self._suite, self._episodes = suite, episodes
        self._tasks = [task for task in suite.tasks if task.split != "test-far"]
        self._test = np.array([task.split == "test" for task in self._tasks])
        self._random = self._measure_mean_returns(suite, "random")
        self.expert = self._random

    def returns(self, checkpoint: Path, noise: float) -> Array:
        """`(tasks,)` mean return of a checkpoint that acts with `noise` times its own noise."""
        with tempfile.TemporaryDirectory() as scratch:
            trial = dataclasses.replace(
                self._suite,
                folder=Path(scratch),
                entry=self._suite.entry.model_copy(update={"teachers": None}),
            )
            (trial.folder / "teachers").mkdir()
            _write_weights(checkpoint, noise, trial.folder / "teachers" / "expert.safetensors")
            return self._measure_mean_returns(trial, "expert")

    def score(self, returns: Array) -> float:
        scores = 100.0 * (returns - self._random) / (self.expert - self._random)
        return float(scores[~self._test].mean() + scores[self._test].mean()) / 2.0

    def _measure_mean_returns(self, suite: Suite, behaviour: str) -> Array:
        tasks = np.repeat([task.id for task in self._tasks], self._episodes)
        seeds = [
            derive_seed("checkpoint", suite.name, int(task), i % self._episodes)
            for i, task in enumerate(tasks)
        ]
        columns = roll_out(suite, tasks.tolist(), [behaviour] * len(tasks), seeds).columns
        return np.asarray(columns.episode_returns.reshape(-1, self._episodes).mean(axis=1))


def _write_weights(checkpoint: Path, noise: float, path: Path) -> None:
    from safetensors.numpy import load_file, save

    tensors = load_file(checkpoint)
    tensors["noise"] = tensors["noise"] * np.float32(noise)
    path.write_bytes(save(tensors, {"steps": checkpoint.stem.lstrip("0"), "noise": f"{noise:g}"}))
