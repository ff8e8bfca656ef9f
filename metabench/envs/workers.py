"""Lanes in worker processes: for simulators that are Python code, so that threads would wait for each other.

A worker is a program of its own, not a fork: it shares nothing with this process but a socket, so that it works under
any start method, from any script, within daemons. It ends when the socket closes, however this process ends.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import traceback
import weakref
from collections.abc import Mapping, Sequence
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from metabench.envs.batched import BatchedEnvironment, BatchStep, TaskParameters, refuse_copy
from metabench.envs.scene import Scene
from metabench.envs.spaces import Array, Spaces
from metabench.errors import MetabenchError, NoRendererError, SimulationError
from metabench.system.cores import count_available_cores

RESET, STEP, SCENE, FRAME = b"r", b"s", b"p", b"i"
DONE, DIVERGED, FAILED, NO_RENDERER = b"d", b"v", b"f", b"n"
"""First byte of a message to a worker, and of its answer."""


class WorkerLanes(BatchedEnvironment):
    """Every worker has the whole of every n-th lane; a lane's numbers do not depend on how many workers there are."""

    __reduce__ = refuse_copy

    def __init__(
        self,
        maker: str,
        arguments: Mapping[str, Any],
        spaces: Spaces,
        workers: int | None = None,
        lanes_at_once: int = 250,
    ) -> None:
        """Workers start with the first `reset`.

        Args:
            maker: `module:function` that makes a worker's batched environment from `arguments`.
            arguments: JSON content.
            spaces: those of the environment.
            workers: how many; None for one a core.
            lanes_at_once: how many lanes are a good number for `reset`.
        """
        self.spaces = spaces
        self.lanes_at_once = lanes_at_once
        self._maker, self._arguments = maker, dict(arguments)
        self._wanted = workers or count_available_cores()
        self._workers: list[_Worker] = []
        self._lanes = 0
        self._parameters: tuple[TaskParameters, ...] = ()

    def reset(self, parameters: Sequence[TaskParameters], seeds: Sequence[int]) -> Array:
        """Start one episode a lane."""
        self._parameters, self._lanes, self._steps = tuple(parameters), len(parameters), 0
        while len(self._workers) < min(self._wanted, self._lanes):
            self._workers.append(_Worker(self._maker, self._arguments))
        for i, worker in enumerate(self._workers):
            every = slice(i, None, len(self._workers))
            content = {
                "parameters": [dict(task) for task in parameters[every]],
                "seeds": list(seeds[every]),
            }
            worker.send(RESET + json.dumps(content).encode())
        observation = np.zeros((self._lanes, self.spaces.observation_dim), np.float32)
        for i, answer in enumerate(self._receive_answers()):
            part = observation[i :: len(self._workers)]
            part[:] = np.frombuffer(answer, np.float32).reshape(part.shape)
        return observation

    def step(self, actions: Array) -> BatchStep:
        """Step all lanes.

        Raises:
            SimulationError: a lane diverged.
            MetabenchError: a worker failed or died.
        """
        self._steps += 1
        kind = np.int64 if self.spaces.discrete else np.float32
        for i, worker in enumerate(self._workers):
            worker.send(
                STEP + np.ascontiguousarray(actions[i :: len(self._workers)], kind).tobytes()
            )
        observation = np.zeros((self._lanes, self.spaces.observation_dim), np.float32)
        reward = np.zeros(self._lanes)
        terminated, success = np.zeros(self._lanes, bool), np.zeros(self._lanes, np.uint8)
        for i, answer in enumerate(self._receive_answers()):
            at = 0
            for whole in (observation, reward, terminated, success):
                part = whole[i :: len(self._workers)]
                part[:] = np.frombuffer(answer, part.dtype, part.size, at).reshape(part.shape)
                at += part.nbytes
        return BatchStep(
            observation, reward, terminated, None if (success == NO_SUCCESS).all() else success == 1
        )

    def scene(self, lane: int) -> Scene | None:
        """Ask the worker that has the lane; raises as `step`."""
        return SCENES.validate_json(self._ask(SCENE, lane))

    def frame(self, lane: int, width: int, height: int) -> Array | None:
        """As `scene`; raises `NoRendererError` as well."""
        answer = self._ask(FRAME, lane, width, height)
        return np.frombuffer(answer, np.uint8).reshape(height, width, 3) if answer else None

    def _ask(self, kind: bytes, lane: int, *numbers: int) -> bytes:
        """What the worker answers that has the lane."""
        worker = self._workers[lane % len(self._workers)]
        worker.send(kind + json.dumps([lane // len(self._workers), *numbers]).encode())
        answer = worker.receive()
        if answer[:1] == NO_RENDERER:
            raise NoRendererError(answer[1:].decode())
        if answer[:1] != DONE:
            raise MetabenchError(f"a worker of {self._maker} failed: {answer[1:].decode()}")
        return answer[1:]

    def _receive_answers(self) -> list[bytes]:
        """The content of every worker's answer; all are read before an error is raised, so that none is left over."""
        answers = [worker.receive() for worker in self._workers]
        for i, answer in enumerate(answers):
            if answer[:1] == DIVERGED:
                lane = i + json.loads(answer[1:]) * len(self._workers)
                raise SimulationError(lane, self._steps, self._parameters[lane])
            if answer[:1] == FAILED:
                raise MetabenchError(f"a worker of {self._maker} failed: {answer[1:].decode()}")
        return [answer[1:] for answer in answers]


NO_SUCCESS = 2
"""Stands in a step's success where the environment has no such notion."""

SCENES: TypeAdapter[Scene | None] = TypeAdapter(Scene | None)
"""How scenes travel: as JSON, which carries floats without loss."""


class _Worker:
    """A process and the socket to it."""

    def __init__(self, maker: str, arguments: Mapping[str, Any]) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    __name__,
                    str(theirs.fileno()),
                    maker,
                    json.dumps(arguments),
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=sys.__stderr__.fileno() if sys.__stderr__ else subprocess.DEVNULL,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                    "OMP_NUM_THREADS": "1",
                },
            )
        self._connection = Connection(ours.detach())
        self._maker = maker
        weakref.finalize(self, _stop, self._connection, self._process)

    def send(self, message: bytes) -> None:
        try:
            self._connection.send_bytes(message)
        except OSError as error:
            raise self._explain_death() from error

    def receive(self) -> bytes:
        try:
            return self._connection.recv_bytes()
        except (EOFError, OSError) as error:
            raise self._explain_death() from error

    def _explain_death(self) -> MetabenchError:
        return MetabenchError(f"a worker of {self._maker} died, exit status {self._process.wait()}")


def _stop(connection: Connection, process: subprocess.Popen[bytes]) -> None:
    connection.close()
    try:
        process.wait(timeout=1.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _serve(connection: Connection, maker: str, arguments: Mapping[str, Any]) -> None:
    """Answer until the other side closes."""
    module, _, function = maker.partition(":")
    environment: BatchedEnvironment = getattr(import_module(module), function)(arguments)
    kind = np.int64 if environment.spaces.discrete else np.float32
    while True:
        try:
            message = connection.recv_bytes()
        except EOFError:
            return
        try:
            answer = _answer(environment, message, kind)
        except SimulationError as error:
            answer = DIVERGED + json.dumps(error.lane).encode()
        except NoRendererError as error:
            answer = NO_RENDERER + str(error).encode()
        except Exception as error:
            traceback.print_exc()
            answer = FAILED + f"{type(error).__name__}: {error}".encode()
        connection.send_bytes(answer)


def _answer(environment: BatchedEnvironment, message: bytes, kind: type[np.generic]) -> bytes:
    if message[:1] == RESET:
        content = json.loads(message[1:])
        return (
            DONE
            + environment.reset(content["parameters"], content["seeds"])
            .astype(np.float32)
            .tobytes()
        )
    if message[:1] == SCENE:
        return DONE + SCENES.dump_json(environment.scene(*json.loads(message[1:])))
    if message[:1] == FRAME:
        picture = environment.frame(*json.loads(message[1:]))
        return DONE if picture is None else DONE + picture.tobytes()
    actions = np.frombuffer(message, kind, offset=1)
    step = environment.step(
        actions
        if environment.spaces.discrete
        else actions.reshape(-1, environment.spaces.action_dim)
    )
    success = np.full(len(step.reward), NO_SUCCESS) if step.success is None else step.success
    arrays = (
        step.observation.astype(np.float32),
        step.reward.astype(np.float64),
        step.terminated.astype(bool),
        success.astype(np.uint8),
    )
    return DONE + b"".join(array.tobytes() for array in arrays)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asked
    _serve(Connection(int(sys.argv[1])), sys.argv[2], json.loads(sys.argv[3]))
