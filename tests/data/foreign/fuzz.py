"""Feed every reader of foreign bytes with spoilt files: `python tests/data/foreign/fuzz.py --inputs 100000`.

Each input is read, or refused with one of metabench's own errors. Anything else counts: another exception, a call of
the operating system, a gigabyte of memory, ten seconds. One that hangs, even inside a library's C code, ends the
program after twenty, with a traceback; the file that it hung on is kept.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

from hypothesis import HealthCheck, given, settings

sys.path.insert(0, str(Path(__file__).parent))
from readers import ForeignFile, edited, edits, foreign_files

from metabench.errors import MetabenchError

FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect", "ctypes.dlopen")
"""Audit events of which none may happen while a file is read."""

MEMORY, SECONDS = 1 << 30, 10.0
"""More than a small file may take."""


class Watch:
    """Notes forbidden events while something is read."""

    def __init__(self) -> None:
        """Begin to listen; there is no end to it."""
        self.on, self.seen = False, ""
        sys.addaudithook(self._heard)

    def _heard(self, event: str, arguments: object) -> None:
        if self.on and event in FORBIDDEN:
            self.seen = f"{event} {arguments!r:.80}"


def feed(
    foreign: ForeignFile, inputs: int, watch: Watch, *, seed: int | None = None, keep: Path | None = None
) -> dict[str, int]:
    """Read so many spoilt files; how many were read, and how many refused.

    With `keep` each is there while it is read, and a read that hangs ends this program.

    Raises:
        AssertionError: a reader did something else.
    """
    counts = {"read": 0, "refused": 0}
    foreign.read(foreign.valid)  # what is imported on the way is imported now

    @settings(max_examples=inputs, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(changes=edits(foreign.text))
    def read(changes: list[tuple[str, float, float, bytes]]) -> None:
        content, began = edited(foreign.valid, changes), time.process_time()  # others may be busy, too
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if keep is not None:
            keep.write_bytes(content)
            faulthandler.dump_traceback_later(2 * SECONDS, exit=True)
        watch.on, watch.seen = True, ""
        try:
            foreign.read(content)
            counts["read"] += 1
        except MetabenchError as error:
            counts["refused"] += 1
            assert "\n" not in str(error), "more than one line"
        finally:
            watch.on = False
            if keep is not None:
                faulthandler.cancel_dump_traceback_later()
        assert not watch.seen, watch.seen
        assert time.process_time() - began < SECONDS, "it took too long"
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown * 1024 < MEMORY, f"it took {grown} KiB"

    if seed is not None:
        from hypothesis import seed as seeded

        read = seeded(seed)(read)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read()
    return counts


def files_in(folder: Path) -> dict[str, ForeignFile]:
    """All kinds of files, made by the commands that make them, in an empty folder."""
    os.environ["METABENCH_HOME"], os.environ["MINARI_DATASETS_PATH"] = str(folder / "home"), str(folder / "minari")
    command = f"run tiny --dataset medium --method bc --preset tiny --threads 1 --results {folder / 'results'}"
    program = Path(sys.executable).with_name("metabench")
    made = subprocess.run([program, *command.split()], check=False, capture_output=True)
    if made.returncode:
        raise RuntimeError(made.stderr.decode() + made.stdout.decode())
    (record,) = (folder / "results").rglob("[0-9].json.gz")
    return foreign_files(folder / "minari", record, folder)


def main(arguments: Sequence[str]) -> int:
    """Feed all kinds, and say what became of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=100_000, help="in all  [100000]")
    parser.add_argument("--seed", type=int, default=0, help="[0]")
    parser.add_argument("--kinds", default="", help="only these, by the beginning of their names, with commas")
    given_ = parser.parse_args(arguments)
    watch, failed = Watch(), 0
    with tempfile.TemporaryDirectory() as name:
        keep = Path(name) / "spoilt"
        sys.stderr.write(f"if this hangs, it is on {keep}\n")
        kinds = files_in(Path(name))
        wanted = tuple(given_.kinds.split(",")) if given_.kinds else ("",)
        kinds = {kind: foreign for kind, foreign in kinds.items() if kind.startswith(wanted)}
        for kind, foreign in kinds.items():
            began, inputs = time.monotonic(), -(-given_.inputs // len(kinds))
            try:
                counts = feed(foreign, inputs, watch, seed=given_.seed, keep=keep)
                found = f"{counts['read']} read, {counts['refused']} refused, nothing else"
            except Exception as error:
                failed += 1
                causes = [error, *getattr(error, "exceptions", ())]
                found = "; ".join(f"{type(cause).__name__}: {cause!s:.400}" for cause in causes)
            sys.stdout.write(f"{kind}: {found} ({time.monotonic() - began:.0f} s)\n")
            sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
