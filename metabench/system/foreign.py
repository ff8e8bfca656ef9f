"""What other people's code does and leaves: whatever it raises is its own fault, and only plain files are taken."""

from __future__ import annotations

import shutil
import signal
import stat
import subprocess
import sysconfig
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import metabench
from metabench.errors import DataError

LONGEST_MESSAGE = 500
"""Characters of what foreign code raised."""

MOST_PARTS = 64
"""Parts of the path of a folder that is copied."""


@contextmanager
def call_foreign(make_error: Callable[[BaseException], Exception]) -> Iterator[None]:
    """While entered, what is raised becomes the error that `make_error` makes of it, or that is raised by it.

    Exceptions, `SystemExit`, `GeneratorExit`, and `KeyboardInterrupt` unless somebody did press Ctrl-C.

    Args:
        make_error: given what was raised.
    """
    with notice_interrupts() as interrupted:
        try:
            yield
        except (Exception, SystemExit, KeyboardInterrupt, GeneratorExit) as error:
            made: BaseException = error
            if not (isinstance(error, KeyboardInterrupt) and interrupted()):
                made = make_error(error)
            if made is error:
                raise
            raise made from error


def name_raised(error: BaseException) -> str:
    """What was raised, for one line, and where: `ValueError: no such key (ridge.py, line 7)`."""
    return word_raised(error) + _say_place(error)


def word_raised(error: BaseException) -> str:
    """What was raised, for one line: `ValueError: no such key`."""
    text = _read_message(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _read_message(error: BaseException) -> str:
    """Its message as one line that is not too long and holds nothing that a terminal obeys."""
    try:
        message = str(error)[: 4 * LONGEST_MESSAGE]
    except Exception:  # foreign, too
        return "its message cannot be read"
    text = " ".join(message.split())
    text = "".join(filter(str.isprintable, text))
    return text if len(text) <= LONGEST_MESSAGE else f"{text[:LONGEST_MESSAGE]}…"


def _say_place(error: BaseException) -> str:
    """The last line of the user's own code that led to it; empty if there is none."""
    others = [Path(metabench.__file__).parent, *map(Path, sysconfig.get_paths().values())]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.suffix == ".py" and not any(other in path.parents for other in others):
            return f" ({path.name}, line {frame.lineno})"
    return ""


@contextmanager
def notice_interrupts() -> Iterator[Callable[[], bool]]:
    """Yields what tells whether Ctrl-C was pressed meanwhile; that is handled as before."""
    seen = threading.Event()
    before: Any = None
    if (
        threading.current_thread() is threading.main_thread()
    ):  # no other may set handlers, or gets the signal
        before = signal.getsignal(signal.SIGINT)
    if not callable(before):
        yield seen.is_set
        return

    def notice(number: int, frame: FrameType | None) -> None:
        seen.set()
        before(number, frame)

    signal.signal(signal.SIGINT, notice)
    try:
        yield seen.is_set
    finally:
        if signal.getsignal(signal.SIGINT) is notice:  # Ctrl-C itself may have set another
            signal.signal(signal.SIGINT, before)


def remove_folder(folder: Path) -> None:
    """Remove a folder that other people's code wrote to, however deep it is and whatever may not be read in it."""
    with suppress(RecursionError):
        shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        for command in (["chmod", "-R", "u+rwX"], ["rm", "-rf", "--"]):
            subprocess.run([*command, str(folder)], capture_output=True, check=False)


def copy_plain(source: Path, target: Path) -> None:
    """Copy a folder of plain files into `target`, which is made if it is missing.

    A link could lead anywhere, and a device or pipe may never end.

    Raises:
        DataError: something in it is neither a plain file nor a folder, or lies too deep; names it.
        OSError: it cannot be read or written.
    """
    found = list(_list_plain(source))  # first: the target may lie in the source
    target.mkdir(parents=True, exist_ok=True)
    for path in found:
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir(exist_ok=True)
        else:
            shutil.copyfile(path, place, follow_symlinks=False)


def _list_plain(source: Path) -> Iterator[Path]:
    """All files and folders below `source`, a folder before what is in it."""
    for path in sorted(source.iterdir()):
        kind = path.lstat().st_mode
        if not stat.S_ISDIR(kind) and not stat.S_ISREG(kind):
            raise DataError(f"{path}: is neither a file nor a folder; expected plain files only")
        yield path
        if stat.S_ISDIR(kind):
            if len(path.parts) > MOST_PARTS:
                raise DataError(f"{path.parent}: too deep; expected plain files in a few folders")
            yield from _list_plain(path)
