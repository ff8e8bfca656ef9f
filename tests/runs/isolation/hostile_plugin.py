"""Methods that do to their evaluator whatever a plugin could; each policy does one misdeed when it first acts."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

from metabench import Method, Policy


class Quiet(Policy):
    """Acts by the observation, with noise of the lane's own and a shift by its support."""

    def __init__(self, spaces, notes):
        self.spaces, self.notes = spaces, notes

    def reset(self, groups, seeds):
        self.groups, self.shifts, self.done = list(groups), {}, False
        self.generators = [np.random.default_rng(seed) for seed in seeds]

    def adapt(self, support):
        for group, episodes in support.items():
            self.shifts[group] = sum(
                float(np.sum(array, dtype=np.float64)) * weight
                for weight, episode in enumerate(episodes, 1)
                for array in (episode.observations, episode.actions, episode.rewards)
            )

    def act(self, step):
        if not self.done:
            self.done = True
            self.misbehave()
        noise = np.stack([generator.normal(size=2) for generator in self.generators])
        shift = np.array([[self.shifts.get(group, 0.0)] for group in self.groups])
        mixed = step.observation + step.previous_action + step.previous_reward[:, None] + noise + shift
        return 0.1 * np.sin(mixed + step.timestep[:, None] + step.scored[:, None])

    def save(self, folder):
        (folder / "notes.json").write_text(json.dumps(self.notes))

    def misbehave(self):
        """Nothing: this one is good."""


class Good(Method):
    """The method of a policy that does nothing wrong."""

    name = "good"
    policy = Quiet
    trains = False

    def train(self, data, run):
        self.misbehave()
        return self.policy(data.spaces, {})

    def misbehave(self):
        """Nothing while it trains."""

    def load(self, folder, spaces):
        return self.policy(spaces, json.loads((folder / "notes.json").read_text()))


class Privileged(Good):
    """Says so itself."""

    name = "privileged"
    privileged = True


def misdeed(function):
    """A method whose policy does this when it first acts."""
    name = function.__name__
    policy = type(f"{name}Policy", (Quiet,), {"misbehave": function})
    return type(name, (Good,), {"name": name.lower(), "policy": policy, "__module__": __name__})


def misdeed_in_training(function):
    """A method that does this when it trains."""
    name = function.__name__
    return type(name, (Good,), {"name": name.lower(), "misbehave": function, "__module__": __name__})


@misdeed
def Spies(self):
    from spying import places

    found = places([bytes.fromhex(needle) for needle in self.notes["needles"]], self.notes["evaluator"])
    if found:
        raise RuntimeError(f"found in: {', '.join(found)}")


@misdeed
def Reaches(self):
    """Every way out: its evaluator, another view of /proc, tracing, the network, the hidden folder."""
    if os.getppid() != 0 or Path(f"/proc/{self.notes['evaluator']}").exists():
        raise RuntimeError("it sees its parent")
    with suppress(ProcessLookupError):
        os.kill(self.notes["evaluator"], 0)
        raise RuntimeError("it can signal its evaluator")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.umount2(b"/proc", 2) == 0 or libc.mount(b"none", b"/proc", b"proc", 0, None) == 0:
        raise RuntimeError("it is still in command of its mounts")
    if libc.ptrace(16, ctypes.c_int(self.notes["evaluator"]), None, None) == 0:
        raise RuntimeError("it traces its evaluator")
    with suppress(OSError), socket.create_connection(("127.0.0.1", self.notes["port"]), timeout=1.0):
        raise RuntimeError("it reaches the network")
    if list(Path(self.notes["hidden"]).iterdir()):
        raise RuntimeError("it sees what was hidden")


@misdeed
def Hangs(self):
    time.sleep(3600)


@misdeed
def Exits(self):
    os._exit(0)


@misdeed
def Quits(self):
    sys.exit(3)


@misdeed
def Crashes(self):
    ctypes.string_at(0)


@misdeed
def Raises(self):
    raise ValueError("not \x1b[31mtoday")


@misdeed
def Prints(self):
    for stream in (sys.stdout, sys.stderr, sys.__stdout__):
        print("\x00garbage" * 10_000, file=stream, flush=True)
    os.write(1, b"\xff" * 100_000)


def garble():
    for descriptor in Path("/proc/self/fd").iterdir():
        if int(descriptor.name) > 2:
            with suppress(OSError):
                os.write(int(descriptor.name), b"\xff" * 4095 + b"\n")


@misdeed
def Garbles(self):
    garble()


@misdeed
def Shortens(self):
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            os.ftruncate(int(descriptor.name), 0)


@misdeed
def Grows(self):
    held = []
    while True:
        held.append(np.ones(1 << 22))


def fork(heartbeat):
    """Start two processes that want to live on: a child, and one that leaves session and parent."""
    for leaves in (False, True):
        if os.fork() == 0:
            if leaves:
                os.setsid()
                if os.fork():
                    os._exit(0)
            while True:
                with Path(heartbeat).open("a") as file:
                    file.write("x")
                time.sleep(0.02)
    while not Path(heartbeat).exists():
        time.sleep(0.02)


@misdeed
def Forks(self):
    """Two processes that want to live on, as in `fork`; each holds a lock, since it may write nothing."""
    reading, writing = os.pipe()
    for leaves in (False, True):
        if os.fork() == 0:
            if leaves:
                os.setsid()
                if os.fork():
                    os._exit(0)
            lock = os.open(self.notes["lock"], os.O_RDONLY)
            fcntl.flock(lock, fcntl.LOCK_SH)
            os.write(writing, b"x")
            time.sleep(3600)
    for _ in range(2):
        os.read(reading, 1)
    os._exit(0)


@misdeed
def Lies(self):
    self.act = lambda step: [[0.0, 0.0]]


@misdeed_in_training
def HangsTraining(self):
    time.sleep(3600)


@misdeed_in_training
def ExitsTraining(self):
    os._exit(0)


@misdeed_in_training
def QuitsTraining(self):
    sys.exit("enough")


@misdeed_in_training
def StopsTraining(self):
    raise KeyboardInterrupt


@misdeed_in_training
def StaysTraining(self):
    """A thread that Python waits for; and then it trains as it should."""
    threading.Thread(target=time.sleep, args=(3600,)).start()


@misdeed_in_training
def ComesBackTraining(self):
    """Twice, and each goes on as if it were alone."""
    os.fork()


@misdeed_in_training
def GarblesTraining(self):
    garble()
    time.sleep(3600)


@misdeed_in_training
def GrowsTraining(self):
    Grows.policy.misbehave(self)


@misdeed_in_training
def ForksTraining(self):
    """And then trains as it should."""
    fork(os.environ["HEARTBEAT"])
