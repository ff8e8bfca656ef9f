"""Training a teacher, choosing its behaviours, and what the shipped teachers are worth."""

from __future__ import annotations

import csv
import dataclasses
import shutil

import numpy as np
import pytest
import torch

from metabench.data.making.roll_out import roll_out
from metabench.envs.locomotion.network_teacher import BEHAVIOURS, read_network
from metabench.errors import DataError, MetabenchError
from metabench.suites import load_suite
from metabench.teachers.ppo import TeacherConfig
from metabench.teachers.select import choose_behaviours, install_behaviours
from metabench.teachers.train import train_teacher

pytestmark = pytest.mark.slow


SUITES = ("cheetah-vel", "cheetah-dir", "ant-dir", "ant-dir-arc", "hopper-param", "walker-param")
TARGETS = {"cheetah-vel": -45.0, "cheetah-dir": 1000.0, "ant-dir": 900.0, "hopper-param": 350.0, "walker-param": 420.0}
"""Mean return over all train and test tasks that each family's expert should reach."""

SMALL = TeacherConfig(steps=4000, lanes=8, rollout=64, width=16, minibatches=2, epochs=2, every=1.5)


def returns_of(suite, tasks, behaviour, episodes):
    """`(tasks, episodes)` returns."""
    lanes = np.repeat(tasks, episodes)
    columns = roll_out(suite, lanes.tolist(), [behaviour] * len(lanes), list(range(len(lanes)))).columns
    return columns.episode_returns.reshape(-1, episodes)


def test_training_writes_checkpoints_that_depend_on_the_seed_only(tmp_path):
    suite = load_suite("cheetah-dir")
    seen: list[int] = []
    before = torch.get_num_threads()
    for name, threads in (("one", 1), ("two", 4)):
        torch.set_num_threads(threads)
        train_teacher(suite, SMALL, tmp_path / name, lambda row: seen.append(torch.get_num_threads()))
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert set(seen) == {1}
    train_teacher(suite, SMALL.model_copy(update={"seed": 1}), tmp_path / "other")
    names = sorted(path.name for path in (tmp_path / "one").glob("*.safetensors"))
    assert len(names) >= 3
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert (tmp_path / "one" / names[-1]).read_bytes() != (tmp_path / "other" / names[-1]).read_bytes()
    network = read_network(tmp_path / "one" / names[-1], 18, 6)
    assert network(np.zeros((5, 18))).shape == (5, 6)
    rows = list(csv.DictReader((tmp_path / "one" / "curve.csv").open()))
    assert float(rows[-1]["steps"]) == int(names[-1].partition(".")[0])
    assert TeacherConfig.model_validate_json((tmp_path / "one" / "config.json").read_text()) == SMALL


def test_a_teacher_begins_as_the_blind_policy(tmp_path):
    """Before it has learned much it acts as that does, whatever it is told; then what it is told counts."""
    suite = load_suite("hopper-param")
    config = TeacherConfig(steps=600, lanes=8, rollout=64, epochs=1, every=1.5, begin_blind=True, divergence=1e-6)
    train_teacher(suite, config, tmp_path / "begun")
    blind = read_network(suite.references_folder / "blind.safetensors", 11, 3)
    told = suite.family.teacher_training()
    observations = np.random.default_rng(0).normal(0, 0.3, size=(50, 11))
    parameters = [suite.tasks[number].parameters for number in range(50)]
    first, *_ = sorted((tmp_path / "begun").glob("*.safetensors"))
    network = read_network(first, told.feature_dim, 3)
    near = network(told.make_features(observations, parameters))
    assert np.abs(near - blind(observations)).mean() < 0.05  # actions are ten times as large
    swapped = network(told.make_features(observations, parameters[::-1]))
    assert not np.array_equal(near, swapped)
    for wrong in ({"blind": True}, {"width": 16}):
        with pytest.raises(MetabenchError, match=r"begin_blind|expected shape"):
            train_teacher(suite, config.model_copy(update=wrong), tmp_path / "refused")
    with pytest.raises(MetabenchError, match=r"blind\.safetensors is missing"):
        train_teacher(dataclasses.replace(suite, folder=tmp_path), config, tmp_path / "refused")


@pytest.mark.walk
def test_training_improves_the_return(tmp_path):
    """Minutes would be too much here; seconds show the direction."""
    config = TeacherConfig(steps=160_000, lanes=64, rollout=50, width=32)
    train_teacher(load_suite("cheetah-dir"), config, tmp_path)
    values = [float(row["mean_return"]) for row in csv.DictReader((tmp_path / "curve.csv").open())]
    assert np.mean(values[-5:]) > np.mean(values[:5]) + 50.0  # 120 to 210, seeds 0 to 3


def test_a_suite_without_a_network_teacher_is_refused(tmp_path):
    with pytest.raises(MetabenchError, match=r"point-robot.*no teacher to train"):
        train_teacher(load_suite("point-robot"), SMALL, tmp_path)
    with pytest.raises(DataError, match="expected checkpoints"):
        choose_behaviours(load_suite("cheetah-dir"), tmp_path)


def test_a_folder_with_checkpoints_is_refused(tmp_path):
    """Those of an earlier training would be judged with the new ones."""
    (tmp_path / "0000001024.safetensors").touch()
    with pytest.raises(MetabenchError, match=rf"{tmp_path.name}: expected no checkpoints before training"):
        train_teacher(load_suite("cheetah-dir"), SMALL, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_suite_that_borrows_its_teachers_gets_none(tmp_path):
    suite = dataclasses.replace(load_suite("ant-dir-arc"), folder=tmp_path)
    for act in (lambda: choose_behaviours(suite, tmp_path), lambda: install_behaviours(suite, [])):
        with pytest.raises(MetabenchError, match="suite ant-dir-arc uses the teachers of 'ant-dir'"):
            act()
    assert not list(tmp_path.iterdir())


def test_behaviours_are_chosen_by_their_scores(tmp_path):
    """The shipped stages, put in the order of their training as checkpoints, are found again."""
    suite = load_suite("cheetah-dir")
    shipped = {"0001": "stage-1", "0002": "stage-2", "0003": "stage-4", "0004": "expert"}
    folder = tmp_path / "training"
    folder.mkdir()
    for steps, name in shipped.items():
        shutil.copy(suite.folder / "teachers" / f"{name}.safetensors", folder / f"{steps}.safetensors")
    for name in ("curve.csv", "config.json"):
        shutil.copy(suite.folder / "teachers" / name, folder)
    behaviours = choose_behaviours(suite, folder, 4)
    assert [behaviour.name for behaviour in behaviours] == list(BEHAVIOURS)
    assert [behaviour.checkpoint.stem for behaviour in behaviours] == ["0001", "0002", "0003", "0003", "0004"]
    medium = behaviours[2]
    assert medium.noise > 1.0
    assert abs(medium.score - 50.0) < 1.0
    copy = dataclasses.replace(suite, folder=tmp_path / "suite")
    copy.folder.mkdir()
    install_behaviours(copy, behaviours)
    tasks = [task.id for task in suite.tasks]
    assert returns_of(copy, tasks, "medium", 4).mean() == pytest.approx(medium.mean_return, rel=0.3)
    assert (copy.folder / "teachers" / "curve.csv").exists()


@pytest.mark.parametrize("name", SUITES)
def test_shipped_teachers_are_what_suite_toml_says(name):
    suite = load_suite(name)
    if suite.entry.teachers is None:
        files = list((suite.folder / "teachers").iterdir())
        assert {path.stem for path in files if path.suffix == ".safetensors"} == set(BEHAVIOURS)
        assert sum(path.stat().st_size for path in files) <= 1_000_000
        expert = np.mean([task.reference.expert for task in suite.tasks if task.split != "test-far"])
        assert expert >= TARGETS[name]
    tasks = [task.id for task in suite.tasks][::12]
    for behaviour in ("random", "expert"):
        returns = returns_of(suite, tasks, behaviour, 10)
        said = np.array([getattr(suite.tasks[task].reference, behaviour) for task in tasks])
        error = returns.std(axis=1, ddof=1) / np.sqrt(10) + 0.02 * np.abs(said)
        assert (np.abs(returns.mean(axis=1) - said) < 5.0 * error).all()


@pytest.mark.parametrize("name", SUITES)
def test_medium_is_half_way(name):
    suite = load_suite(name)
    tasks = [task.id for task in suite.tasks if task.split != "test-far"]
    returns = returns_of(suite, tasks, "medium", max(1, 50 // len(tasks)))
    scores = suite.normalised(np.repeat(tasks, returns.shape[1]).tolist(), returns.ravel().tolist())
    assert 45.0 <= np.mean(scores) <= 55.0
