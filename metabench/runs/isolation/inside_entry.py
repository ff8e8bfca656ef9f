"""The program that a policy's own process runs: it gives up what it does not need, and only then imports the policy.

Started with numbers of open files as arguments: the connection, the shared memory, and a pipe that closes when the
evaluator ends; and with `confined` or `free`. It forks once, to be inside its new namespaces; the first process holds
nothing, waits, and makes sure that nothing is left over.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from metabench.runs.isolation.channel import Channel
    from metabench.runs.isolation.confinement import Separation

POLL_SECONDS = 0.05


def main() -> NoReturn:
    """Separate, fork, serve or supervise."""
    sys.path.append(str(Path(__file__).parents[3]))
    from metabench.runs.isolation.channel import Channel
    from metabench.runs.isolation.confinement import adopt_orphans, leave_namespaces

    connection, arrays, lifeline = (int(number) for number in sys.argv[1:4])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    adopt_orphans()
    separated = leave_namespaces() if sys.argv[4] == "confined" else None
    child = os.fork()
    if child == 0:
        os.close(lifeline)
        _serve(Channel(socket.socket(fileno=connection)), arrays, separated)
    os.close(connection)
    os.close(arrays)
    _supervise(child, lifeline)


def _serve(
    channel: Channel, arrays: int, separated: tuple[Separation, list[Path]] | None
) -> NoReturn:
    from metabench.runs.isolation.channel import DONE, REFUSED
    from metabench.runs.isolation.confinement import Room, confine

    status = 1
    try:
        _, content = channel.receive()
        try:
            room = Room(
                Path(content["scratch"]),
                [Path(folder) for folder in content["writable"]],
                [Path(folder) for folder in content["hidden"]],
            )
            gaps = [] if separated is None else confine(*separated, room)
        except OSError as error:
            channel.send(REFUSED, str(error))
            os._exit(1)
        channel.send(DONE, gaps)
        kind, content = channel.receive()
        sys.path[:] = content["path"]
        from metabench.runs.isolation.inside_serve import serve

        serve(channel, arrays, kind, content)
        status = 0
    except EOFError:
        status = 0  # the evaluator has what it wanted
    finally:
        os._exit(status & 0xFF)  # waits for no thread that the policy left


def _supervise(child: int, lifeline: int) -> NoReturn:
    """Wait until the policy's process or the evaluator ends; end what is left, and end as the former did."""
    status = None
    while status is None:
        ended, found = os.waitpid(child, os.WNOHANG)
        if ended:
            status = found
        elif select.select([lifeline], [], [], POLL_SECONDS)[0]:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
    _end_orphans()
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def _end_orphans() -> None:
    """End what the policy's process left: without a process namespace, it is now this process's own."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    while children.exists() and (left := children.read_text(encoding="ascii").split()):
        for process in map(int, left):
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)


if __name__ == "__main__":
    main()
