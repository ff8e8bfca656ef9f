"""Building datasets: what is stored, twice the same, whole or not at all."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from metabench.data.load import load_data, read_dataset_identity
from metabench.data.making import build as building
from metabench.data.making.build import build_data, delete_dataset, verify_dataset
from metabench.data.making.plan import plan_trajectories
from metabench.data.making.roll_out import roll_out
from metabench.data.storage.store import open_store
from metabench.data.trajectories import Trajectories, hash_trajectories
from metabench.errors import DataError
from metabench.suites import load_suite


def files_below(folder: Path) -> dict[str, str]:
    """Path to SHA-256 of every file but locks and notes of whose data it is."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix not in (".lock", ".suite")
    }


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*") if path.suffix not in (".lock", ".suite")]


def plain_digest(trajectories: Trajectories) -> str:
    """The digest as documented, written once more."""
    text = b""
    for name, values in trajectories.arrays().items():
        if name == "behaviours":
            text += f"{name} text {values.shape}\n".encode() + b"".join(f"{v}\n".encode() for v in values)
        else:
            kind = {"f": "f4", "b": "b1", "i": "i8"}[values.dtype.kind]
            text += f"{name} {kind} {values.shape}\n".encode() + values.astype("<" + kind).tobytes(order="C")
    return "sha256:" + hashlib.sha256(text).hexdigest()


@pytest.mark.parametrize(("name", "dataset"), [("tiny", "mixed"), ("tiny-discrete", "medium")])
def test_minari_alone_can_load_it(name, dataset):
    import minari

    suite = load_suite(name)
    build_data(suite, dataset)
    plan = plan_trajectories(suite, dataset)
    rolled = roll_out(suite, plan.tasks, plan.behaviours, plan.seeds)
    columns = rolled.columns
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stored = minari.load_dataset(f"metabench/{name}/{dataset}-v1")
    assert f"metabench/{name}/{dataset}-v1" in minari.list_local_datasets()
    assert stored.total_episodes == len(plan)
    assert stored.total_steps == len(columns.rewards)
    metadata = list(stored.storage.get_episode_metadata(range(len(plan))))
    for e, episode in enumerate(stored.iterate_episodes()):
        start, stop = columns.offsets[e], columns.offsets[e + 1]
        repr(episode)
        assert all(stored.observation_space.contains(row) for row in episode.observations)
        assert all(stored.action_space.contains(action) for action in episode.actions)
        np.testing.assert_array_equal(episode.observations, columns.observations[start + e : stop + e + 1])
        np.testing.assert_array_equal(episode.actions, columns.actions[start:stop])
        np.testing.assert_array_equal(episode.rewards, columns.rewards[start:stop])
        assert episode.terminations.tolist() == [False] * int(stop - start - 1) + [bool(columns.terminated[e])]
        assert episode.truncations.tolist() == [False] * int(stop - start - 1) + [not columns.terminated[e]]
        assert (metadata[e]["task"], metadata[e]["split"]) == (plan.tasks[e], plan.splits[e])
        assert (metadata[e]["behaviour"], metadata[e]["seed"]) == (plan.behaviours[e], plan.seeds[e])
        if rolled.success is not None:
            np.testing.assert_array_equal(episode.infos["success"], rolled.success[start:stop])
            assert metadata[e]["success"] == rolled.success[start:stop].any()
    manifest = stored.storage.metadata["metabench"]
    assert (manifest["suite"], manifest["suite_digest"]) == (name, suite.digest)
    assert manifest["tasks"][1]["parameters"] == suite.tasks[1].parameters
    assert manifest["digest"] == read_dataset_identity(suite, dataset).digest


@pytest.mark.parametrize(("name", "dataset"), [("tiny", "mixed"), ("tiny-discrete", "medium")])
def test_minari_reads_it_as_it_reads_what_it_wrote_itself(name, dataset):
    import minari
    from minari.data_collector import EpisodeBuffer

    suite = load_suite(name)
    build_data(suite, dataset)
    ours = minari.load_dataset(f"metabench/{name}/{dataset}-v1")
    plan = plan_trajectories(suite, dataset)
    rolled = roll_out(suite, plan.tasks, plan.behaviours, plan.seeds)
    buffers = []
    for e, (start, stop) in enumerate(itertools.pairwise(rolled.columns.offsets.tolist())):
        ended = np.arange(start, stop) == stop - 1
        buffers.append(
            EpisodeBuffer(
                seed=plan.seeds[e],
                observations=rolled.columns.observations[start + e : stop + e + 1],
                actions=rolled.columns.actions[start:stop],
                rewards=rolled.columns.rewards[start:stop],
                terminations=ended & rolled.columns.terminated[e],
                truncations=ended & ~rolled.columns.terminated[e],
                infos={} if rolled.success is None else {"success": rolled.success[start:stop]},
            )
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no environment, no code link
        theirs = minari.create_dataset_from_buffers(
            f"plain/{name}/{dataset}-v1",
            buffers,
            observation_space=ours.observation_space,
            action_space=ours.action_space,
            jpeg_encoding=False,
        )
    theirs.storage.update_episode_metadata(
        {"task": task, "split": split, "behaviour": behaviour, "success": True}
        if rolled.success is not None
        else {"task": task, "split": split, "behaviour": behaviour}
        for task, split, behaviour in zip(plan.tasks, plan.splits, plan.behaviours, strict=True)
    )
    assert (ours.total_episodes, ours.total_steps) == (theirs.total_episodes, theirs.total_steps)
    assert ours.storage.metadata["dataset_size"] == ours.storage.get_size()
    metadata = [list(each.storage.get_episode_metadata(range(len(plan)))) for each in (ours, theirs)]
    for mine, other in zip(*metadata, strict=True):
        assert {key: type(value) for key, value in mine.items()} == {key: type(value) for key, value in other.items()}
        mine.pop("success", None), other.pop("success", None)
        assert mine == other
    for each in (ours, theirs):
        each.set_seed(3)
    pairs = [*zip(ours.iterate_episodes(), theirs.iterate_episodes(), strict=True)]
    pairs += zip(ours.sample_episodes(5), theirs.sample_episodes(5), strict=True)
    assert len(pairs) == len(plan) + 5
    for mine, other in pairs:
        assert mine.id == other.id
        assert set(mine.infos) == set(other.infos)
        fields = ("observations", "actions", "rewards", "terminations", "truncations")
        arrays = [(getattr(mine, field), getattr(other, field)) for field in fields]
        for array, expected in [*arrays, *((mine.infos[key], other.infos[key]) for key in mine.infos)]:
            assert (array.dtype, array.shape) == (expected.dtype, expected.shape)
            np.testing.assert_array_equal(array, expected)
    assert ours.filter_episodes(lambda episode: episode.rewards.sum() > -1e9).total_episodes == len(plan)


@pytest.mark.parametrize(("name", "dataset"), [("tiny", "replay"), ("tiny-discrete", "medium")])
def test_the_store_holds_what_was_rolled_out_and_the_digest_is_of_that(name, dataset):
    suite = load_suite(name)
    identity = build_data(suite, dataset)
    plan = plan_trajectories(suite, dataset)
    rolled = roll_out(suite, plan.tasks, plan.behaviours, plan.seeds)
    made = Trajectories(rolled.columns, np.array(plan.behaviours), np.array(plan.seeds), rolled.success)
    store = open_store(suite, dataset)
    for (key, values), stored in zip(made.arrays().items(), store.trajectories.arrays().values(), strict=True):
        np.testing.assert_array_equal(stored, values, err_msg=key)
        assert not stored.flags.writeable
    assert identity.digest == store.header.manifest.digest == plain_digest(made) == hash_trajectories(made)
    assert identity == read_dataset_identity(suite, dataset) == verify_dataset(suite, dataset)


def test_the_digest_depends_on_every_array():
    suite = load_suite("tiny-discrete")
    build_data(suite, "medium")
    stored = open_store(suite, "medium").trajectories
    digests = {hash_trajectories(stored)}
    for name, values in stored.arrays().items():
        changed = values.copy()
        changed.flat[-1] = "expert" if name == "behaviours" else not changed.flat[-1] if changed.dtype == bool else 7
        digests.add(hash_trajectories(Trajectories.from_arrays({**stored.arrays(), name: changed})))
    assert len(digests) == 1 + len(stored.arrays())


def test_building_twice_gives_the_same_bytes(folders, monkeypatch, tmp_path):
    build_data("tiny", "medium")
    first = files_below(folders)
    assert build_data("tiny", "medium") == build_data("tiny", "medium", force=True)
    assert files_below(folders) == first
    monkeypatch.setenv("METABENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    build_data("tiny", "medium")
    assert files_below(tmp_path) == first


def test_a_built_dataset_is_not_built_again(monkeypatch):
    first = build_data("tiny", "medium")
    monkeypatch.setattr(building, "write_minari", None)
    monkeypatch.setattr(building, "read_minari", None)
    assert build_data("tiny", "medium") == first


def test_a_build_does_not_read_what_it_has_just_written(folders, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(building, "open_store", None)
        patch.setattr(building, "read_minari", None)
        built = build_data("tiny", "medium")
    assert built == read_dataset_identity(load_suite("tiny"), "medium") == verify_dataset(load_suite("tiny"), "medium")


def test_a_missing_store_is_made_again_from_the_minari_files(folders, monkeypatch):
    first = build_data("tiny", "medium")
    before = files_below(folders)
    for path in (folders / "home" / "stores" / "tiny-v1" / "medium-v1").iterdir():
        path.unlink()
    (folders / "home" / "stores" / "tiny-v1" / "medium-v1").rmdir()
    monkeypatch.setattr(building, "write_minari", None)
    load_data("tiny", "medium")
    assert build_data("tiny", "medium") == first
    assert files_below(folders) == before


@pytest.mark.parametrize("stage", ["rolling out", "making the store"])
@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_build_leaves_nothing_and_keeps_what_was_there(folders, stage, stop):
    def progress(now: str, done: int, total: int) -> None:
        if now == stage:
            raise stop

    with pytest.raises(stop):
        build_data("tiny", "medium", progress=progress)
    assert files_below(folders) == {}
    assert leftovers(folders) == []
    build_data("tiny", "medium")
    whole = files_below(folders)
    with pytest.raises(stop):
        build_data("tiny", "medium", force=True, progress=progress)
    assert files_below(folders) == whole
    assert leftovers(folders) == []


def test_an_interrupted_restoring_leaves_the_minari_files_and_nothing_else(folders):
    def progress(now: str, done: int, total: int) -> None:
        assert now == "reading back"
        raise KeyboardInterrupt

    build_data("tiny", "medium")
    before = files_below(folders / "minari")
    shutil.rmtree(folders / "home" / "stores")
    with pytest.raises(KeyboardInterrupt):
        build_data("tiny", "medium", progress=progress)
    assert files_below(folders / "minari") == before
    assert files_below(folders / "home") == {}
    assert leftovers(folders) == []


BUILD = """
import os, signal, sys
from metabench.data.making.build import build_data
def progress(stage, done, total):
    if stage == sys.argv[1]:
        os.kill(os.getpid(), signal.SIGKILL)
print(build_data("tiny", "medium", force="force" in sys.argv, progress=progress).digest)
"""


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["rolling out", "making the store"])
def test_what_a_killed_build_leaves_is_never_used_and_goes_with_the_next(folders, stage):
    killed = subprocess.run([sys.executable, "-c", BUILD, stage], env=dict(os.environ), check=False)
    assert killed.returncode == -signal.SIGKILL
    assert leftovers(folders) != []
    with pytest.raises(DataError, match="not built"):
        load_data("tiny", "medium", build=False)
    build_data("tiny", "medium")
    assert leftovers(folders) == []
    verify_dataset(load_suite("tiny"), "medium")


@pytest.mark.slow
def test_builds_at_once_wait_for_each_other(folders):
    command = [sys.executable, "-c", BUILD, "never", "force"]
    running = [subprocess.Popen(command, env=dict(os.environ), stdout=subprocess.PIPE, text=True) for _ in range(3)]
    digests = [process.communicate(timeout=120)[0].strip() for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    identity = verify_dataset(load_suite("tiny"), "medium")
    assert set(digests) == {identity.digest}
    assert leftovers(folders) == []


def test_delete_removes_both(folders):
    suite = load_suite("tiny")
    build_data(suite, "medium")
    assert len(delete_dataset(suite, "medium")) == 2
    assert [path.suffix for path in folders.rglob("*") if "medium-v1" in path.name] == [".lock", ".lock"]
    assert delete_dataset(suite, "medium") == ()
