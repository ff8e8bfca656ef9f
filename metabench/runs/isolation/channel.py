"""Messages between an evaluator and a policy's own process: one byte of kind, a length, JSON. Nothing is pickled.

Standard library only: this is imported before the policy's process is confined.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable
from typing import Any

CONFINE, DESCRIBE, TRAIN, LOAD, RESET = b"h", b"c", b"t", b"l", b"r"
ADAPT, ACT, PREDICT = b"s", b"a", b"p"
"""What the evaluator asks for."""

DONE, FAILED, REFUSED, BROKEN = b"d", b"f", b"x", b"b"
"""What the process answers: done; the foreign code raised; what it was given or what it did is not what it should be;
the foreign code failed otherwise, as the text says."""

PROGRESS, CANCELLED = b"g", b"k"
"""What it says while it trains, and when it was asked to stop."""

LARGEST_ANSWER = 1 << 20
"""Bytes of an answer's JSON; the process is not trusted to be brief."""

SLICE_SECONDS = 0.1
"""How often a waiting evaluator asks whether it should still wait."""

_HEADER = struct.Struct("<cI")


class Garbled(Exception):
    """What came in is no message."""


class Channel:
    """One end of the connection."""

    def __init__(
        self, connection: socket.socket, waiting: Callable[[], None] | None = None
    ) -> None:
        """Take over `connection`.

        Args:
            connection: a stream.
            waiting: called again and again while the other side lets this one wait, and may raise; without it this
                side waits as long as it takes.
        """
        self._connection = connection
        self._waiting = waiting
        connection.settimeout(None if waiting is None else SLICE_SECONDS)

    def send(self, kind: bytes, content: Any = None) -> None:
        """Send a message; raises `EOFError` if the other side is gone."""
        payload = b"" if content is None else json.dumps(content).encode()
        rest = _HEADER.pack(kind, len(payload)) + payload
        while rest:
            try:
                rest = rest[self._connection.send(rest) :]
            except TimeoutError:
                self._wait()
            except ConnectionError as error:
                raise EOFError from error

    def receive(self, largest: int = 1 << 31) -> tuple[bytes, Any]:
        """Wait for a message of at most `largest` bytes of JSON.

        Raises:
            EOFError: the other side is gone.
            Garbled: what came is too long, or no JSON.
        """
        kind, length = _HEADER.unpack(self._read(_HEADER.size))
        if length > largest:
            raise Garbled
        if not length:
            return kind, None
        try:
            return kind, json.loads(self._read(length))
        except (ValueError, RecursionError) as error:
            raise Garbled from error

    def _read(self, count: int) -> bytes:
        read = b""
        while True:
            try:
                part = self._connection.recv(count - len(read))
            except TimeoutError:
                self._wait()
                continue
            except ConnectionError as error:
                raise EOFError from error
            if not part:
                raise EOFError
            read += part
            if len(read) == count:
                return read
            self._wait()  # who sends a byte now and then is not quick

    def _wait(self) -> None:
        if self._waiting is not None:
            self._waiting()
