"""Downloads that were interrupted are noticed, and fetched again where the network may be used."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import h5py
import minari
import numpy as np
import pytest

from metabench.data.foreign.suite_from_minari import suite_from_minari
from metabench.data.making.build import build_data, verify_dataset
from metabench.errors import DataError
from metabench.system.home import minari_root

ENTRIES = ("metadata.json", "main_data.hdf5")


def halve(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def lose_episodes(data: Path) -> None:
    with h5py.File(data / "main_data.hdf5", "r+") as file:
        del file["episode_2"]


def lose_an_array(data: Path) -> None:
    with h5py.File(data / "main_data.hdf5", "r+") as file:
        del file["episode_1"]["rewards"]


def empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


BROKEN: dict[str, Callable[[Path], object]] = {
    "empty folder": lambda data: empty(data.parent),
    "empty data folder": empty,
    "no metadata": lambda data: (data / "metadata.json").unlink(),
    "half the metadata": lambda data: halve(data / "metadata.json"),
    "empty metadata": lambda data: (data / "metadata.json").write_bytes(b""),
    "no numbers": lambda data: (data / "main_data.hdf5").unlink(),
    "half the numbers": lambda data: halve(data / "main_data.hdf5"),
    "empty numbers": lambda data: (data / "main_data.hdf5").write_bytes(b""),
    "an episode missing": lose_episodes,
    "an array missing": lose_an_array,
}


@pytest.fixture
def remote(walks: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stands for Minari's server, which has all of `walks`; the names that were asked for."""
    asked: list[str] = []

    def download(name: str) -> None:
        asked.append(name)
        walks.record(name, [walks.episode(10 * walks.names.index(name) + n) for n in range(4)])

    monkeypatch.setattr(minari, "download_dataset", download)
    return asked


@pytest.mark.parametrize("state", BROKEN)
def test_what_is_not_whole_is_downloaded_again(
    walks: SimpleNamespace, remote: list[str], tmp_path: Path, folders: Path, state: str
) -> None:
    suite = walks.suite(tmp_path)
    whole = build_data(suite, "medium", download=True)
    shutil.rmtree(folders / "home")
    shutil.rmtree(folders / "minari" / "metabench")
    remote.clear()
    BROKEN[state](minari_root() / walks.names[1] / "data")
    with pytest.raises(DataError, match=r"'walks/b-v0'.*; run `metabench data build .* --download`, which uses"):
        build_data(suite, "medium")
    assert remote == []
    with pytest.warns(UserWarning, match="'walks/b-v0'.* it is downloaded again"):
        assert build_data(suite, "medium", download=True) == whole
    assert remote == [walks.names[1]]
    assert verify_dataset(suite, "medium") == whole
    hidden = [path.name for path in minari_root().iterdir() if path.name.startswith(".")]
    assert all(name.endswith(".lock") for name in hidden)


def test_a_suite_is_made_of_them_as_well(walks: SimpleNamespace, remote: list[str], tmp_path: Path) -> None:
    walks.record_all()
    BROKEN["half the numbers"](minari_root() / walks.names[2] / "data")
    arguments = (walks.names[:2], walks.names[2:])
    with pytest.raises(DataError, match=r"'walks/c-v0': cannot be read .*; add --download to fetch it"):
        suite_from_minari(*arguments, name="again", out=tmp_path / "again")
    with pytest.warns(UserWarning, match="'walks/c-v0'.* it is downloaded again"):
        suite_from_minari(*arguments, name="again", out=tmp_path / "again", download=True)
    assert remote == [walks.names[2]]


@pytest.mark.parametrize("failure", [ConnectionError("the line is dead"), KeyboardInterrupt()])
def test_a_download_that_fails_leaves_what_was_there(
    walks: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    walks.record_all()
    halve(minari_root() / walks.names[0] / "data" / "main_data.hdf5")
    before = {path: path.read_bytes() for path in minari_root().rglob("*.*") if path.is_file()}

    def download(name: str) -> None:
        walks.record(name, [walks.episode(0)])
        halve(next(Path(minari.storage.get_dataset_path(name)).rglob("*.hdf5")))
        raise failure

    monkeypatch.setattr(minari, "download_dataset", download)
    with pytest.warns(UserWarning, match="downloaded again"), pytest.raises((DataError, KeyboardInterrupt)):
        build_data(walks.suite(tmp_path), "medium", download=True)
    after = {path: path.read_bytes() for path in minari_root().rglob("*.*") if path.is_file() and path.stat().st_size}
    assert after == {path: content for path, content in before.items() if content}


def test_a_dataset_that_is_broken_at_its_source_is_refused(
    walks: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def download(name: str) -> None:
        asked.append(name)
        walks.record(name, [walks.episode(0, observations=np.full((7, 3), np.nan))])
        halve(next(Path(minari.storage.get_dataset_path(name)).rglob("*.hdf5")))

    monkeypatch.setattr(minari, "download_dataset", download)
    with pytest.warns(UserWarning, match="downloaded again"), pytest.raises(DataError, match="cannot be read"):
        build_data(walks.suite(tmp_path), "medium", download=True)
    assert asked.count(walks.names[0]) == 2
