"""The process of an isolated policy, as its evaluator sees it: started, asked, watched, ended; never trusted."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from metabench.errors import (
    CancelledError,
    DataError,
    MetabenchError,
    MethodError,
    PolicyProcessError,
)
from metabench.runs.isolation.channel import (
    BROKEN,
    CANCELLED,
    CONFINE,
    DONE,
    FAILED,
    LARGEST_ANSWER,
    PROGRESS,
    REFUSED,
    Channel,
    Garbled,
)
from metabench.runs.isolation.limits import Limits, Watch, end_with_all_below
from metabench.runs.isolation.output import Output, read_failure
from metabench.runs.isolation.shared_arrays import SharedArrays
from metabench.system.foreign import remove_folder

PROGRAM = Path(__file__).with_name("inside_entry.py")
VARIABLES = (
    "PATH",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
)
"""Environment variables that the process keeps: where programs are, and what arithmetic depends on."""

_ENDING_SECONDS = 5.0

Failure = TypeVar("Failure", MethodError, PolicyProcessError)


@contextmanager
def start_policy_process(
    scratch: Path,
    limits: Limits,
    *,
    hidden: Sequence[Path] = (),
    writable: Sequence[Path] = (),
    variables: Mapping[str, str] | None = None,
    confined: bool = True,
) -> Iterator[PolicyProcess]:
    """A process that waits to be told which foreign code to import; ended, with all that it started, on leaving.

    Args:
        scratch: its working directory, home and place for temporary files.
        limits: what it may take from now on.
        hidden: folders that it finds empty.
        writable: folders that it may write to, beside `scratch`.
        variables: environment variables that it is given beside `VARIABLES`.
        confined: keep it from the rest of the system; else it may do what its user may, and finds what it would find
            here.

    Raises:
        MetabenchError: the process cannot be had, or a folder cannot be hidden from it.
    """
    arrays = SharedArrays.make()
    ours, theirs = socket.socketpair()
    reading, writing = os.pipe()
    output = Output()
    try:
        with theirs:
            passed = (theirs.fileno(), arrays.descriptor, reading)
            kept = {name: os.environ[name] for name in VARIABLES if name in os.environ}
            apart = {**kept, "HOME": str(scratch), "TMPDIR": str(scratch), **(variables or {})}
            process = subprocess.Popen(
                # -I: neither the working folder nor PYTHON* variables nor the user's site-packages are imported from.
                [
                    sys.executable,
                    "-I",
                    str(PROGRAM),
                    *map(str, passed),
                    "confined" if confined else "free",
                ],
                pass_fds=passed,
                stdin=subprocess.DEVNULL,
                stdout=output.writing,
                stderr=output.writing,
                cwd=scratch if confined else None,
                env=apart if confined else {**os.environ, "TMPDIR": str(scratch)},
                start_new_session=True,  # one signal ends it with all that it started
            )
            output.close_writing()
        try:
            room = {
                "scratch": str(scratch.resolve()),
                "writable": [str(folder.resolve()) for folder in writable],
                "hidden": [str(folder.resolve()) for folder in hidden],
            }
            yield PolicyProcess(process, ours, arrays, output, limits, room)
        finally:
            _end(process)
    finally:
        ours.close()
        arrays.close()
        output.close()
        os.close(reading)
        os.close(writing)


class PolicyProcess:
    """A running process.

    Attributes:
        arrays: memory that it shares.
        gaps: what it could not be kept from, a line each.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        connection: socket.socket,
        arrays: SharedArrays,
        output: Output,
        limits: Limits,
        room: Mapping[str, Any],
    ) -> None:
        """Wait until the process is confined to its room, where it is to be."""
        self.arrays = arrays
        self._process = process
        self._output = output
        self._channel = Channel(connection, self._check)
        self._watch = Watch(process.pid, limits)
        try:
            kind, content = self._ask(CONFINE, room)
        except PolicyProcessError as error:
            raise MetabenchError(
                f"a policy's own process could not be started: it {error}"
            ) from error
        if kind != DONE:
            raise MetabenchError(
                f"a policy's own process cannot be kept from its folders: {content}"
            )
        self.gaps = tuple(str(line) for line in content)

    def describe(
        self,
        kind: bytes,
        content: Mapping[str, Any],
        label: str,
        hear: Callable[[Any], None] = lambda told: None,
    ) -> Mapping[str, Any]:
        """Let the process import a method: to `DESCRIBE` it, to `TRAIN` it, or to `LOAD` a policy.

        Args:
            kind: which of them.
            content: the method, and what to do with it.
            label: what errors call it.
            hear: told of progress.

        Returns:
            What the process says of it; never to be trusted.

        Raises:
            DataError: the process refuses the method or what it is to load.
            MethodError: the method raised something else, or the process failed.
            CancelledError: it was asked to stop, and did.
        """
        try:
            kind, answer = self._ask(kind, content, hear)
        except PolicyProcessError as error:
            raise self._add_details(MethodError(f"{label} {error}")) from error
        if kind == DONE:
            return answer if isinstance(answer, dict) else {}
        line, trace = read_failure(answer)
        if kind == CANCELLED:
            raise CancelledError(line)
        if kind == REFUSED:
            raise DataError(line)
        raise self._add_details(
            MethodError(line if kind == BROKEN else f"{label} raised {line}"), trace
        )

    def call(self, kind: bytes, content: Any = None) -> Any:
        """Let the policy do something.

        Returns:
            What the process says of it; never to be trusted.

        Raises:
            PolicyProcessError: it raised something or returned what it must not, or the process failed.
        """
        try:
            kind, answer = self._ask(kind, content)
        except PolicyProcessError as error:
            self._add_details(error)
            raise
        if kind == DONE:
            return answer
        line, trace = read_failure(answer)
        verb = "raised" if kind == FAILED else "failed:"
        raise self._add_details(PolicyProcessError(f"{verb} {line}"), trace)

    def _add_details(self, error: Failure, trace: str = "") -> Failure:
        """The error, with what its own line has no room for: it stands in the traceback that a failure keeps."""
        if trace:
            error.add_note(f"In the method's own process:\n{trace}")
        if printed := self._output.quote():
            error.add_note(f"The last that it printed:\n{printed}")
        return error

    def _ask(
        self, kind: bytes, content: Any, hear: Callable[[Any], None] = lambda told: None
    ) -> tuple[bytes, Any]:
        """Send a message and wait for its answer, within the limits."""
        try:
            self._check()  # a policy that answers quickly keeps to its limits, too
            self._channel.send(kind, content)
            while (said := self._channel.receive(LARGEST_ANSWER))[0] == PROGRESS:
                self._check()
                hear(said[1])
            kind, answer = said
            if kind not in (DONE, FAILED, REFUSED, BROKEN, CANCELLED):
                raise Garbled
        except EOFError as error:
            raise PolicyProcessError(self._ending()) from error
        except Garbled as error:
            _end(self._process)
            raise PolicyProcessError("sent an invalid answer") from error
        return kind, answer

    def _check(self) -> None:
        """Raise unless the process lives and keeps to its limits."""
        self._output.hear()
        excess = self._watch.excess()
        if excess is not None:
            _end(self._process)
            raise PolicyProcessError(excess)
        if self._process.poll() is not None:
            raise EOFError

    def _ending(self) -> str:
        try:
            code = self._process.wait(_ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            return "closed its connection"
        if code >= 0:
            return f"ended its process with exit status {code}"
        return f"was ended by signal {signal.Signals(-code).name}"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started."""
    if process.poll() is None:
        end_with_all_below(process.pid)
    with suppress(ProcessLookupError):
        os.killpg(
            process.pid, signal.SIGKILL
        )  # its session: what lost its parent, where the system lets it get away
    process.wait()


@contextmanager
def make_scratch() -> Iterator[Path]:
    """A folder for a process of foreign code, whose name says nothing; gone afterwards, whatever was put there."""
    folder = Path(tempfile.mkdtemp(prefix="metabench-policy-"))
    try:
        yield folder
    finally:
        remove_folder(folder)


def name_for_process(method: str) -> dict[str, Any]:
    """How to import `method` from any working directory."""
    path, is_file, rest = method.partition(".py:")
    return {
        "path": [
            str(Path(entry).absolute()) if Path(entry).exists() else entry for entry in sys.path
        ],
        "method": f"{Path(path).absolute()}{is_file}{rest}" if is_file else method,
    }
