"""The blind reference: the best policy that knows neither task nor past.

It maps the present observation to an action. It is trained online like the teacher, over the training tasks, or chosen
from the scripts of a family that has some. What a teacher earns above it is what finding out the task is worth.
"""

from __future__ import annotations

import dataclasses
import functools
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metabench.data.making.roll_out import roll_out
from metabench.envs import TaskParameters, TeacherTraining
from metabench.envs.blind_reference import WEIGHTS, scale_to_bounds, write_script
from metabench.errors import DataError, MetabenchError
from metabench.seeding import derive_seed
from metabench.suites import Suite
from metabench.suites.headroom import HIGHEST_SCORE, LOWEST_SCORE
from metabench.teachers.select import list_checkpoints

RECORDS_OF_TRAINING = ("curve.csv", "config.json")
"""Kept beside the weights."""

NOISES = (0.0, 1.0)
"""Each checkpoint is tried as it is, and with the noise that it was trained with."""


@dataclass(frozen=True)
class BlindCandidate:
    """A blind policy that a suite may ship.

    Attributes:
        name: for people: `557,056 steps`, or a script's name.
        write: put it into a folder `references/`.
    """

    name: str
    write: Callable[[Path], object]


def make_blind_training(suite: Suite) -> TeacherTraining:
    """Training of a network that sees observations alone; it is given tasks of the suite only.

    Raises:
        MetabenchError: the family's blind policy is a script.
    """
    if suite.family.blind_scripts() is not None:
        raise MetabenchError(
            f"suite {suite.name}: the blind policy of its family is a script, which needs no training; run `metabench "
            f"teacher install {suite.argument} --blind`"
        )
    spaces = suite.spaces

    def draw_task(generator: np.random.Generator) -> TaskParameters:
        raise MetabenchError(f"suite {suite.name}: blind training takes the suite's tasks only")

    return TeacherTraining(
        feature_dim=spaces.observation_dim,
        action_dim=spaces.action_dim,
        make_features=lambda observations, tasks: observations,
        draw_task=draw_task,
        discrete=spaces.discrete,
        to_environment=lambda actions, tasks: scale_to_bounds(actions, spaces),
    )


def list_candidates(suite: Suite, folder: Path | None) -> list[BlindCandidate]:
    """What the blind policy of `suite` can be chosen from.

    Args:
        suite: the suite.
        folder: of a blind training; None where the family has scripts.

    Raises:
        MetabenchError: a folder is missing, or given in vain.
        DataError: the folder holds no checkpoints.
    """
    scripts = suite.family.blind_scripts()
    if scripts is not None:
        if folder is not None:
            raise MetabenchError(
                f"suite {suite.name}: expected no folder: the blind policy of its family is a script, found {folder}"
            )
        training = [task.parameters for task in suite.split("train")]
        return [
            BlindCandidate(name, functools.partial(write_script, content=content))
            for name, content in scripts.propose(training, suite.entry.horizon).items()
        ]
    expected = f"`metabench teacher train {suite.argument} --blind`"
    if folder is None:
        raise MetabenchError(f"suite {suite.name}: expected the folder of {expected}")
    paths = list_checkpoints(folder)
    if not paths:
        raise DataError(f"{folder}: expected checkpoints of {expected}, found none")
    for name in RECORDS_OF_TRAINING:
        if not (folder / name).is_file():
            raise DataError(f"{folder}: expected {name} beside the checkpoints of {expected}")
    return [_offer_checkpoint(suite, path, noise) for path in paths for noise in NOISES]


def choose_blind(
    suite: Suite,
    candidates: Sequence[BlindCandidate],
    episodes: int,
    progress: Callable[[str, float], None] | None = None,
) -> BlindCandidate:
    """The candidate with the highest mean score on the training tasks; of equal ones that with the highest returns.

    Args:
        suite: whose training tasks to judge in.
        candidates: of `list_candidates`.
        episodes: episodes a task.
        progress: told each candidate's name and score.

    Raises:
        DataError: weights are of other spaces.
        MetabenchError: success is the score, and the suite names no rule of it.
    """
    found = []
    for candidate in candidates:
        with tempfile.TemporaryDirectory() as scratch:
            trial = dataclasses.replace(suite, folder=Path(scratch))
            install_blind(trial, candidate)
            score, mean_return = _judge_blind(trial, "train", episodes)
        found.append((score, mean_return))
        if progress is not None:
            progress(candidate.name, score)
    return candidates[max(range(len(found)), key=lambda place: found[place])]


def install_blind(suite: Suite, candidate: BlindCandidate) -> None:
    """Write a candidate into the suite's `references/`; references in suite.toml are then out of date."""
    folder = suite.references_folder
    folder.mkdir(exist_ok=True)
    candidate.write(folder)


def score_blind(suite: Suite, split: str, episodes: int) -> float:
    """The score of the blind policy that `suite` ships: the mean over the tasks of a split.

    Raises:
        MetabenchError: it ships none, or success is the score and the suite names no rule of it.
    """
    return _judge_blind(suite, split, episodes)[0]


def _judge_blind(suite: Suite, split: str, episodes: int) -> tuple[float, float]:
    """The same, with the mean normalised return beside it; reset seeds are their own."""
    rule = suite.entry.success
    if suite.entry.headline == "success" and rule is None:
        raise MetabenchError(
            f"suite {suite.name}: expected a rule of success to judge by; `metabench data references "
            f"{suite.argument} --success any --write` names one (or last)"
        )
    tasks = np.repeat([task.id for task in suite.split(split)], episodes).tolist()
    seeds = [
        derive_seed("blind", suite.name, suite.entry.version, task, i % episodes)
        for i, task in enumerate(tasks)
    ]
    acted = roll_out(suite, tasks, ["blind"] * len(tasks), seeds)
    normalised = suite.normalised(tasks, acted.columns.episode_returns.tolist())
    scores = normalised
    if suite.entry.headline == "success" and rule is not None:
        scores = suite.score_success(tasks, acted.judge_success(rule).tolist())
    of_tasks = np.reshape(scores, (-1, episodes)).mean(axis=1)
    return float(np.clip(of_tasks, LOWEST_SCORE, HIGHEST_SCORE).mean()), float(np.mean(normalised))


def _offer_checkpoint(suite: Suite, path: Path, noise: float) -> BlindCandidate:
    def write(folder: Path) -> None:
        from safetensors.numpy import load_file, save

        tensors = load_file(path)
        if suite.spaces.discrete:  # in training, choices are drawn from the logits as they are
            tensors["noise"] = np.ones_like(tensors["noise"])
        tensors["noise"] = tensors["noise"] * np.float32(noise)
        described = {"steps": path.stem.lstrip("0"), "noise": f"{noise:g}"}
        (folder / WEIGHTS).write_bytes(save(tensors, described))
        for name in RECORDS_OF_TRAINING:
            shutil.copyfile(path.parent / name, folder / name)

    drawn = ", with noise" if noise else ""
    return BlindCandidate(f"{int(path.stem):,} steps{drawn}", write)
