"""Downloading Minari datasets: into a folder beside, and into place when they are whole. The one use of the network."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from metabench.data.storage.locks import lock_folder
from metabench.errors import DataError
from metabench.system.home import let_minari_use, minari_root


def download_minari(name: str) -> None:
    """Fetch the Minari dataset `name`; what is there of it is replaced once all of it has come.

    Downloads into one Minari folder wait for each other. An interrupted one leaves nothing but a hidden folder, which
    the next removes.

    Raises:
        DataError: it cannot be downloaded; what was there stays.
        StorageError: nothing can be written into Minari's folder.
    """
    import minari

    fresh = minari_root() / ".downloading"
    with lock_folder(fresh):
        shutil.rmtree(fresh, ignore_errors=True)
        try:
            fresh.mkdir()
            with let_minari_use(fresh):
                minari.download_dataset(name)
            if not (fresh / name).is_dir():
                raise DataError("nothing has come")
            _put_in_place(fresh, minari_root())
        except Exception as error:
            raise DataError(
                f"Minari dataset {name!r} cannot be downloaded: {error or type(error).__name__}"
            ) from error
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def _put_in_place(fresh: Path, root: Path) -> None:
    """Move all that has come: the dataset, others that it is made of, and what is said of their namespaces."""
    came = sorted(path.parent for path in fresh.rglob("data") if path.is_dir())
    notes = [path for path in fresh.rglob("*.json") if not any(map(path.is_relative_to, came))]
    for path in (*came, *notes):
        place = root / path.relative_to(fresh)
        if path in notes and place.exists():
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.exists():
            os.replace(place, fresh / f".leaving-{came.index(path)}")
        os.replace(path, place)
