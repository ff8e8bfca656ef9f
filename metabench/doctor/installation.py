"""What may be wrong with an installation, found out by trying: one line each, with what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement

from metabench.envs.mujoco_renderer import find_backend
from metabench.errors import NoRendererError
from metabench.system.extras import say_installation
from metabench.system.home import MINARI, home, minari_root

GIB = 1 << 30
NO_SPACE, LITTLE_SPACE = GIB, 5 * GIB
"""Bytes free: below the first something is wrong, below the second it is worth a note."""

IMPORTS = (
    "torch",
    "numpy",
    "scipy",
    "gymnasium",
    "mujoco",
    "metaworld",
    "minari",
    "h5py",
    "cmaes",
    "transformers",
)

LOCKING = """
import sys
from filelock import FileLock, Timeout
try:
    FileLock(sys.argv[1], timeout=0).acquire()
except Timeout:
    sys.exit(0)
sys.exit(1)
"""


@dataclass(frozen=True)
class Diagnosis:
    """One line of a report.

    Attributes:
        level: `wrong` needs something done, `note` is worth knowing, `ok` was tried and works.
        what: what was looked at.
        message: what was found and, unless it is fine, what to do.
    """

    level: Literal["ok", "note", "wrong"]
    what: str
    message: str


def examine_machine(results: Path) -> Iterator[Diagnosis]:
    """Look at Python, packages, torch, rendering and folders; nothing is left behind.

    Args:
        results: a results folder, which need not exist: whether records could be written there.
    """
    checks: tuple[Callable[[], Iterator[Diagnosis]], ...] = (
        _examine_python,
        _examine_packages,
        _examine_imports,
        _examine_torch,
        _examine_rendering,
        lambda: examine_folder("METABENCH_HOME", home()),
        lambda: examine_folder("Minari datasets", minari_root(), library=True),
        _examine_minari_variable,
        lambda: examine_folder("results", results),
        _examine_extras,
    )
    for check in checks:
        yield from check()


def _examine_python() -> Iterator[Diagnosis]:
    found = f"{platform.python_version()} at {sys.executable}, {platform.platform()}, {os.cpu_count()} cores"
    yield Diagnosis("ok", "Python", found)


def _examine_packages() -> Iterator[Diagnosis]:
    """Whether the versions are those that metabench asks for."""
    # What extras ask for is looked at in `_examine_extras`.
    texts = [text for text in requires("metabench") or [] if "extra ==" not in text]
    unfit = 0
    for requirement in map(Requirement, texts):
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            found = "none"
        if found == "none" or not requirement.specifier.contains(found, prereleases=True):
            unfit += 1
            yield Diagnosis(
                "wrong",
                "packages",
                f"expected {requirement}, found {found}; run `pip install '{requirement}'`",
            )
    if not unfit:
        yield Diagnosis(
            "ok", "packages", f"metabench {version('metabench')}, {len(texts)} requirements met"
        )


def _examine_imports() -> Iterator[Diagnosis]:
    broken = 0
    for name in IMPORTS:
        try:
            import_module(name)
        except Exception as error:  # whatever a broken package does
            broken += 1
            problem = f"{type(error).__name__}: {error}"
            message = f"{name} does not import: {shorten_to_line(problem)}; run `pip install --force-reinstall {name}`"
            yield Diagnosis("wrong", "imports", message)
    if not broken:
        yield Diagnosis(
            "ok", "imports", f"{', '.join(f'{name} {version(name)}' for name in IMPORTS)}"
        )


def _examine_torch() -> Iterator[Diagnosis]:
    try:
        import torch
    except Exception:  # told above
        return
    cores, threads = os.cpu_count() or 1, torch.get_num_threads()
    devices = [
        "cpu",
        *(f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())),
    ]
    wanted = os.environ.get("OMP_NUM_THREADS")
    message = f"{threads} threads on {cores} cores, OMP_NUM_THREADS {wanted or 'not set'}; {', '.join(devices)}"
    if threads > cores:
        message += f"; more threads than cores are slow: set OMP_NUM_THREADS to {cores} or less"
    yield Diagnosis("note" if threads > cores else "ok", "torch", message)


def _examine_rendering() -> Iterator[Diagnosis]:
    """Whether MuJoCo renders, and by what."""
    try:
        backend = find_backend()
    except NoRendererError as error:
        yield Diagnosis(
            "note", "rendering", f"{error}; nothing needs them: episodes are drawn flat instead"
        )
        return
    yield Diagnosis("ok", "rendering", f"MuJoCo renders pictures ({backend or 'its own choice'})")


def _examine_minari_variable() -> Iterator[Diagnosis]:
    """Minari takes it as it stands: what is no whole path leads it elsewhere."""
    given = os.environ.get(MINARI)
    if given is not None and str(minari_root()) != given:
        yield Diagnosis(
            "note",
            "Minari datasets",
            f"{MINARI} is {given!r}, which metabench takes for {minari_root()}; Minari takes it as it stands: write "
            "the whole path",
        )


def examine_folder(what: str, folder: Path, *, library: bool = False) -> Iterator[Diagnosis]:
    """Whether it can be written to, has space, and keeps locks; it is not made if it is not there.

    Args:
        what: what the folder is.
        folder: where it is, or will be.
        library: it serves as well if it is there and can be read.
    """
    nearest = next(
        path for path in (folder.absolute(), *folder.absolute().parents) if path.exists()
    )
    refused = Diagnosis(
        "wrong",
        what,
        f"{folder}: cannot be written to; name another folder or change its permissions",
    )
    if library and nearest == folder.absolute() and os.access(nearest, os.R_OK | os.X_OK):
        refused = Diagnosis(
            "note",
            what,
            f"{folder}: can be read but not written to: its data are used, other data need another folder",
        )
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        yield refused
        return
    try:
        with tempfile.TemporaryDirectory(prefix=".doctor-", dir=nearest) as place:
            locks = _holds_locks(Path(place) / "lock")
    except OSError:
        yield refused
        return
    free = shutil.disk_usage(nearest).free
    place_words = f"{folder}, {free / GIB:.1f} GiB free"
    if not locks:
        message = f"{place_words}, locks do not hold: two processes could run one cell; name a folder on another disk"
        yield Diagnosis("wrong", what, message)
    elif free < NO_SPACE:
        yield Diagnosis(
            "wrong", what, f"{place_words}: too little; make room or name another folder"
        )
    elif free < LITTLE_SPACE:
        yield Diagnosis("note", what, f"{place_words}: large datasets will not fit")
    else:
        yield Diagnosis("ok", what, f"{place_words}, writable, locks hold")


def _holds_locks(path: Path) -> bool:
    from filelock import FileLock

    with FileLock(path):  # another process must not get it: on some network folders it does
        done = subprocess.run(
            [sys.executable, "-c", LOCKING, str(path)], capture_output=True, timeout=60, check=False
        )
    return done.returncode == 0


def _examine_extras() -> Iterator[Diagnosis]:
    for extra, (package, purpose) in {
        "ray": ("ray", "--executor ray"),
        "slurm": ("submitit", "--executor slurm"),
        "tracking": ("tensorboard", "--tensorboard"),
        "video": ("av", "an MP4 file of `metabench render`"),
        "robotics": ("gymnasium-robotics", "suites of its environments"),
    }.items():
        try:
            yield Diagnosis("ok", f"extra {extra}", f"{package} {version(package)}")
        except PackageNotFoundError:
            message = f"not installed; {purpose} needs it: {say_installation(extra)}"
            yield Diagnosis("note", f"extra {extra}", message)


def shorten_to_line(text: str, longest: int = 200) -> str:
    """Another's message as one line of at most so many characters."""
    return " ".join(text.split())[:longest]
