"""The other side of an executor: a process that raises offspring as it is told.

`answer` does one order, for every executor. `main` is the process of `local_workers`: orders come
through stdin, messages leave through stdout, both as frames of a length and msgpack. It ends with
its parent, whatever ends that.
"""

from __future__ import annotations

import functools
import os
import queue
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

import msgspec

from edgesynth.core.errors import EdgesynthError
from edgesynth.core.factory import import_factory
from edgesynth.core.progress import Progress, Task
from edgesynth.synthesis.jobs import (
    Advanced,
    Answer,
    Began,
    Failed,
    Message,
    Order,
    Said,
    WorldSpec,
)
from edgesynth.synthesis.raising import World, fixed_threads, raise_offspring

HEADER_BYTES = 8
_EVERY_S = 0.2


def answer(order: Order, progress: Progress) -> Answer:
    """Do `order`; an exception becomes `Failed`, a warning a line of talk."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: progress.say(
            "warning: " + str(message).partition("\n")[0]
        )
        try:
            with fixed_threads(order.threads):
                world = _world(msgspec.json.encode(order.world))
                return raise_offspring(order.job, world, progress)
        except Exception as error:
            return _failed(order.job.identity, error)


def _failed(identity: str, error: Exception) -> Failed:
    """What users can mend is told in one line, a mistake of ours with its traceback."""
    if isinstance(error, EdgesynthError | MemoryError):
        return Failed(identity=identity, kind=type(error).__name__, message=str(error))
    if isinstance(error, OSError):
        return Failed(identity=identity, kind="UserError", message=str(error))
    message = "".join(traceback.format_exception(error))
    return Failed(identity=identity, kind=type(error).__name__, message=message)


@functools.lru_cache(maxsize=1)
def _world(spec: bytes) -> World:
    """The world of `spec`, an encoded WorldSpec; its data are loaded once per process."""
    world = msgspec.json.decode(spec, type=WorldSpec)
    made: World = import_factory(world.factory)(world.settings)
    return made


def write_frame(stream: BinaryIO, content: bytes) -> None:
    """Write `content` behind its length."""
    for part in (len(content).to_bytes(HEADER_BYTES, "big"), content):
        left = memoryview(part)
        while left:  # an unbuffered stream may take a part only
            left = left[stream.write(left) :]
    stream.flush()


def read_frame(stream: BinaryIO) -> bytes | None:
    """The next frame; None when the other side is gone."""
    header = _exactly(stream, HEADER_BYTES)
    return None if header is None else _exactly(stream, int.from_bytes(header, "big"))


def _exactly(stream: BinaryIO, count: int) -> bytes | None:
    parts = []
    while count:
        part = stream.read(count)
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


class _Relay:
    """Progress that is shown by another process."""

    def __init__(self, send: Callable[[Message], None]) -> None:
        self._send = send

    @contextmanager
    def track(self, label: str, total: int) -> Iterator[Task]:
        self._send(Began(total))
        yield _RelayedTask(self._send)

    def say(self, text: str) -> None:
        self._send(Said(text))


class _RelayedTask:
    """Sends steps a few times a second at most."""

    def __init__(self, send: Callable[[Message], None]) -> None:
        self._send, self._steps, self._sent = send, 0, time.monotonic()

    def advance(self, steps: int = 1, note: str = "") -> None:
        self._steps += steps
        if time.monotonic() - self._sent >= _EVERY_S:
            self._send(Advanced(self._steps, note))
            self._steps, self._sent = 0, time.monotonic()


def main() -> None:
    """Serve orders until stdin ends.

    What a user's code prints goes to stderr, because stdout carries the messages.
    """
    messages = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    orders: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_read_orders, args=(orders,), daemon=True).start()
    encoder = msgspec.msgpack.Encoder()

    def send(message: Message) -> None:
        write_frame(messages, encoder.encode(message))

    while True:
        order = msgspec.msgpack.decode(orders.get(), type=Order)
        send(answer(order, _Relay(send)))


def _read_orders(orders: queue.Queue[bytes]) -> None:
    """Hand on orders as they come, and end the process at once when the parent is gone."""
    while True:
        order = read_frame(sys.stdin.buffer)
        if order is None:
            os._exit(0)
        orders.put(order)
