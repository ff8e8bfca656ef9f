"""Building a dataset: roll out or read, store as Minari, make the store from it; everything whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from metabench.data.making.source import open_source
from metabench.data.storage.locks import lock_folder
from metabench.data.storage.manifest import Manifest, make_manifest
from metabench.data.storage.minari_files import (
    MAIN_FILE,
    METADATA_FILE,
    read_minari,
    read_minari_manifest,
    set_manifest,
    write_minari,
)
from metabench.data.storage.owners import check_owner, claim_folder, release_folder
from metabench.data.storage.places import minari_folder, minari_namespace, store_folder
from metabench.data.storage.recipe import check_recipe, compute_recipe_digest, suggest_rebuild
from metabench.data.storage.store import (
    check_hashes,
    open_checked_store,
    open_store,
    read_store_manifest,
    store_exists,
    write_store,
)
from metabench.data.trajectories import BuildProgress, hash_trajectories
from metabench.errors import DataError
from metabench.suites import Suite, load_suite
from metabench.system.home import let_minari_use, minari_root
from metabench.system.writing import writing


@dataclass(frozen=True)
class DatasetIdentity:
    """Which data a dataset's name stands for here.

    Attributes:
        version: the version of its recipe.
        digest: hash of the built arrays.
        expected: the hash in suite.toml, if it has one.
    """

    version: int
    digest: str
    expected: str | None

    @property
    def as_published(self) -> bool:
        """Whether the built arrays are those of suite.toml; also true if suite.toml names no digest."""
        return self.expected in (None, self.digest)


def identify_data(manifest: Manifest, suite: Suite, dataset: str) -> DatasetIdentity:
    """The identity of the data that `manifest` describes."""
    recipe = suite.dataset(dataset)
    return DatasetIdentity(recipe.version, manifest.digest, recipe.digest)


def build_data(
    suite: Suite | str,
    dataset: str,
    *,
    force: bool = False,
    download: bool = False,
    progress: BuildProgress | None = None,
) -> DatasetIdentity:
    """Make `dataset` as a Minari dataset and as a memory-mapped store, unless it is there already.

    An interrupted build leaves nothing behind but hidden folders, which the next one removes. Builds of one dataset by
    several processes wait for each other.

    Args:
        suite: the suite or its name.
        dataset: the dataset's name.
        force: make it anew, whatever is there.
        download: fetch the Minari datasets that it is made from, where they are not there: the one use of the network.
        progress: told how far it is.

    Raises:
        UnknownNameError: no such suite or dataset.
        DataError: what is there is damaged or made for something else; `force` replaces it, unless it is the data of
            another suite of this name. Or a Minari dataset that it is made from is missing or not fit.
        StorageError: the disk is full, read-only or fails; what was there before stays until the new data is whole.
    """
    suite = load_suite(suite) if isinstance(suite, str) else suite
    suite.dataset(dataset)
    if not force and store_exists(
        suite, dataset
    ):  # a store is put in place whole: no lock, nothing is written
        return _identify_store(suite, dataset)
    stored, store = minari_folder(suite, dataset), store_folder(suite, dataset)
    # Minari's folder may be a library that others keep: nothing is written there if what is wanted is there.
    with lock_folder(store), lock_folder(stored, needed=force or not stored.exists()):
        if not force and store_exists(suite, dataset):
            return _identify_store(suite, dataset)
        with _make_fresh_folder(store) as store_fresh:
            if stored.exists() and not force:
                manifest = _restore_store(stored, store_fresh, suite, dataset, progress)
            else:
                _check_owners(suite, dataset)
                if (base := suite.dataset(dataset).labels_of) is not None:
                    build_data(suite, base, progress=progress)
                with _make_fresh_folder(stored) as fresh:
                    manifest = _make_both(fresh, store_fresh, suite, dataset, download, progress)
                    remove_folder(store)
                    remove_folder(stored)
                    os.replace(fresh, stored)
                claim_folder(stored, suite)
                _describe_namespace(suite)
            os.replace(store_fresh, store)
            claim_folder(store, suite)
        return identify_data(manifest, suite, dataset)


def _identify_store(suite: Suite, dataset: str) -> DatasetIdentity:
    return identify_data(open_checked_store(suite, dataset).header.manifest, suite, dataset)


def _check_owners(suite: Suite, dataset: str) -> None:
    """Raise `ClashError` if another suite's data would be lost; what both suites make alike is as good for either."""
    wanted = compute_recipe_digest(suite, dataset)
    store, stored = store_folder(suite, dataset), minari_folder(suite, dataset)
    for folder, read in ((store, read_store_manifest), (stored, read_minari_manifest)):
        try:
            found = read(folder).recipe_digest
        except DataError:  # not there, or damaged
            found = None
        if found != wanted:
            check_owner(folder, suite)


def verify_dataset(
    suite: Suite, dataset: str, progress: BuildProgress | None = None
) -> DatasetIdentity:
    """Recompute all hashes of a built dataset, of its store and of the arrays in its Minari files.

    Raises:
        DataError: naming the first wrong file and how to make the data anew.
    """
    if store_exists(suite, dataset):
        with suggest_rebuild(suite, dataset):
            check_hashes(store_folder(suite, dataset))
    store = open_store(suite, dataset)
    manifest, folder = store.header.manifest, minari_folder(suite, dataset)
    with suggest_rebuild(suite, dataset):
        if hash_trajectories(store.trajectories) != manifest.digest:
            raise DataError(f"{store.folder}: the arrays do not match the digest in the header")
        if not folder.is_dir():
            raise DataError(f"{folder}: is missing")
        if read_minari_manifest(folder) != manifest:
            raise DataError(f"{folder / METADATA_FILE}: its manifest differs from the store's")
        if hash_trajectories(read_minari(folder, progress)) != manifest.digest:
            raise DataError(f"{folder / MAIN_FILE}: its arrays do not match the digest")
    return identify_data(manifest, suite, dataset)


def delete_dataset(suite: Suite, dataset: str) -> tuple[Path, ...]:
    """Remove a dataset's store and Minari files; returns the folders that were there."""
    folders = (store_folder(suite, dataset), minari_folder(suite, dataset))
    with lock_folder(folders[0]), lock_folder(folders[1]):
        _check_owners(suite, dataset)
        found = tuple(folder for folder in folders if folder.exists())
        for folder in found:
            remove_folder(folder)
            release_folder(folder)
    return found


def remove_folder(folder: Path) -> None:
    """Remove `folder` if it exists; it disappears at once, whatever interrupts the removal."""
    leaving = folder.with_name(f".{folder.name}.leaving")
    shutil.rmtree(leaving, ignore_errors=True)
    if folder.exists():
        os.replace(folder, leaving)
        shutil.rmtree(leaving)


@contextmanager
def _make_fresh_folder(folder: Path) -> Iterator[Path]:
    """A new empty folder beside `folder`, removed at the end unless it has been put in place by then."""
    fresh = folder.with_name(f".{folder.name}.building")
    for stale in (fresh, folder.with_name(f".{folder.name}.leaving")):
        shutil.rmtree(stale, ignore_errors=True)
    try:
        with writing(folder):
            fresh.mkdir(parents=True)
            yield fresh
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _make_both(
    minari: Path,
    store: Path,
    suite: Suite,
    dataset: str,
    download: bool,
    progress: BuildProgress | None,
) -> Manifest:
    """Fill the folders `minari` and `store`; returns what both say of the arrays that went into them.

    Nothing is read back: right after writing, a read is answered from memory and tells nothing of the disk. What is on
    the disk is compared with the digest by `verify_dataset`, and whenever a store is made anew from Minari files.
    """
    source = open_source(suite, dataset, download=download, progress=progress)
    with writing(minari):
        trajectories = write_minari(minari, suite, dataset, source, progress)
        manifest = make_manifest(suite, dataset, hash_trajectories(trajectories), source.notes)
        set_manifest(minari, manifest)
    if progress is not None:
        progress("making the store", 0, 1)
    write_store(store, trajectories, manifest, suite.spaces)
    return manifest


def _restore_store(
    minari: Path, store: Path, suite: Suite, dataset: str, progress: BuildProgress | None
) -> Manifest:
    """Fill the folder `store` from a Minari dataset built earlier; returns what that says of itself."""
    with suggest_rebuild(suite, dataset):
        manifest = read_minari_manifest(minari)
        check_recipe(manifest.recipe_digest, suite, dataset, minari / METADATA_FILE, minari)
        trajectories = read_minari(minari, progress)
        if hash_trajectories(trajectories) != manifest.digest:
            raise DataError(f"{minari / MAIN_FILE}: its arrays do not match the digest")
    write_store(store, trajectories, manifest, suite.spaces)
    return manifest


def _describe_namespace(suite: Suite) -> None:
    """Let Minari know the suite's namespace, as its own way of creating a dataset does."""
    from minari.namespace import NAMESPACE_METADATA_FILENAME, create_namespace

    namespace = minari_namespace(suite)
    if not (
        minari_folder(suite, next(iter(suite.entry.datasets))).parent / NAMESPACE_METADATA_FILENAME
    ).exists():
        # ValueError: another build has just created it
        with suppress(ValueError), let_minari_use(minari_root()):
            create_namespace(namespace, description=suite.entry.title)
