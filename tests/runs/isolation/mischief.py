"""Plugins that do harm at every door, written as files: each `make_plugin` is one class with a misdeed put in."""

from __future__ import annotations

from pathlib import Path

TEMPLATE = """
import json, os, signal, subprocess, sys, sysconfig, threading, time
from pathlib import Path

import numpy as np
import metabench
from metabench import Method, Policy

PLACES = [Path(__file__).parent, Path(sysconfig.get_path("purelib")), Path(metabench.__file__).parent, Path("/tmp"),
          Path("/"), *map(Path, {places!r})]


def write(what):
    for place in PLACES:
        for attempt in (
            lambda: (place / f"left-{{what}}.pth").write_text("import left"),
            lambda: os.symlink("/etc", place / f"link-{{what}}"),
            lambda: next(place.glob("*.py")).open("a").write("# edited"),
            lambda: next(place.rglob("*.json.gz")).unlink(),
        ):
            try:
                attempt()
            except (OSError, StopIteration):
                pass


def stay(what):
    threading.Thread(target=time.sleep, args=(3600,)).start()
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)", "{name}"], start_new_session=True)
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(3600)


def flood(what):
    for stream in (1, 2):
        os.write(stream, b"\\xff\\x00" * 1000)
    os.makedirs(what), os.chdir(what)
    Path("scratch").write_bytes(bytes(1 << 20))
    at = os.open(".", os.O_RDONLY)
    for _ in range(2000):  # too deep for who removes folders by calling himself
        os.mkdir("deep", dir_fd=at)
        at, above = os.open("deep", os.O_RDONLY, dir_fd=at), at
        os.close(above)


def everything(what):
    write(what), stay(what), flood(what)


{at_import}


class Mischief(Policy):
    def __init__(self, spaces):
        self.spaces, self.done = spaces, False

    def reset(self, groups, seeds):
        self.lanes = len(groups)

    def act(self, step):
        if not self.done:
            self.done = True
            {act}
        return np.full((self.lanes, self.spaces.action_dim), 0.1)

    def save(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "policy.json").write_text("[]")
        {save}


class Plugin(Method):
    name = "{name}"

    def train(self, data, run):
        {train}
        return Mischief(data.spaces)

    def load(self, folder, spaces):
        {load}
        return Mischief(spaces)
"""


def write_plugin(folder: Path, name: str, places: list[str] | None = None, **misdeeds: str) -> str:
    """A plugin that does what `misdeeds` say (at_import, train, save, load, act); what `load_method` takes."""
    code = dict.fromkeys(("at_import", "train", "save", "load", "act"), "pass") | misdeeds
    file = folder / f"{name}.py"
    file.write_text(TEMPLATE.format(name=name, places=places or [], **code))
    return f"{file}:Plugin"
