"""One request to a board and its answer, with time limits, progress and a way to stop it.

The board's side is `edgesynth_rt.board_agent`, whose source travels first, so that nothing must be
installed there.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from edgesynth.core.errors import (
    CheckError,
    DeviceError,
    EdgesynthError,
    MeasurementError,
    MissingError,
    UserError,
    shown,
)
from edgesynth.remote.transport import Cancelled, LostError, Transport
from edgesynth_rt import board_agent

Event = dict[str, Any]
HEARTBEAT_S = 5.0
STOP_GRACE_S = 15.0
"""Longer than the agent gives a command to put clocks back."""
_BLOCK = 1 << 16
_MAX_NOISE_BYTES = 1 << 20
_MAX_LINE_BYTES = 256 << 20
_ERRORS: dict[int, type[EdgesynthError]] = {
    error.exit_code: error
    for error in (CheckError, UserError, DeviceError, MissingError, MeasurementError)
}


def converse(
    transport: Transport,
    python: str,
    request: Event,
    *,
    timeout_s: float,
    hear: Callable[[Event], None],
    payload: Iterable[bytes] = (),
    cancel: threading.Event | None = None,
) -> Event:
    """Send `request` and `payload`; returns the last event, `hear` receives the others.

    python: the interpreter on the board. timeout_s: how long the answer may take; where there is a
    payload, how long nothing may move. Raises the board's own refusal, what the transport explains,
    LostError when the connection broke in between, DeviceError when the time is over, Cancelled
    when `cancel` was set; in each case what ran on the board has been told to end.
    """
    source = Path(board_agent.__file__).read_bytes()
    bootstrap = f"import sys;exec(compile(sys.stdin.buffer.read({len(source)}),'edgesynth','exec'))"
    words = [source, json.dumps(request).encode() + b"\n"]
    with tempfile.TemporaryFile() as stderr:
        process = transport.start([python, "-I", "-c", bootstrap], stderr)
        talk = _Talk(process, words, iter(payload), cancel or threading.Event())
        try:
            for event in talk.events(timeout_s, moving=payload != ()):
                if "error" in event:
                    kind = _ERRORS.get(event.get("code", 2), UserError)
                    raise kind(f"{transport.name}: {shown(str(event['error']), 400)}")
                if event.get("done"):
                    return event
                hear(event)
            process.wait(STOP_GRACE_S)
            said = _text(stderr)
            if not talk.greeted:
                raise transport.explain(process.returncode, said)
            last = shown((said.strip().splitlines() or ["no word"])[-1], 200)
            raise LostError(
                f"the connection to {transport.name} broke ({last}); run again to go on"
            )
        except (TimeoutError, subprocess.TimeoutExpired):
            _stop(process, grace_s=1.0)
            raise DeviceError(
                f"{transport.name} did not finish within {timeout_s:g} s; is it stuck? "
                "Give it longer with --timeout"
            ) from None
        finally:
            _stop(process, STOP_GRACE_S)


class _Talk:
    """The bytes of one conversation, both ways, in one thread."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        words: list[bytes],
        payload: Iterator[bytes],
        cancel: threading.Event,
    ) -> None:
        self.greeted = False
        self._process = process
        self._words = words
        self._payload = payload
        self._cancel = cancel
        self._pending = memoryview(b"")
        self._open = True
        self._spoke = time.monotonic()

    def events(self, timeout_s: float, moving: bool) -> Iterator[Event]:
        """Every event until the board's side ends; raises TimeoutError or Cancelled."""
        stdin, stdout = _pipes(self._process)
        os.set_blocking(stdin.fileno(), False)
        buffer = bytearray()
        deadline = time.monotonic() + timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while True:
                if self._cancel.is_set():
                    raise Cancelled
                if time.monotonic() > deadline:
                    raise TimeoutError
                self._speak_where_possible(selector, stdin)
                ready = [key.fileobj for key, _ in selector.select(0.1)]
                moved = stdin in ready and self._write(selector, stdin)
                if stdout in ready:
                    block = os.read(stdout.fileno(), _BLOCK)
                    if not block:
                        return
                    buffer += block
                    moved = True
                    yield from self._parse(buffer)
                if moved and moving:
                    deadline = time.monotonic() + timeout_s

    def _speak_where_possible(self, selector: selectors.BaseSelector, stdin: IO[bytes]) -> None:
        """Watch stdin only while there is something to say; a heartbeat counts."""
        if not self._pending and self._open:
            self._pending = memoryview(self._next_word())
        watched = stdin in selector.get_map()
        if self._pending and self._open and not watched:
            selector.register(stdin, selectors.EVENT_WRITE)
        elif watched and not (self._pending and self._open):
            selector.unregister(stdin)

    def _next_word(self) -> bytes:
        """The agent and the request, then, once it has greeted, the payload, then heartbeats."""
        if self._words:
            return self._words.pop(0)
        if self.greeted and (word := next(self._payload, b"")):
            return word
        return b"\n" if time.monotonic() - self._spoke > HEARTBEAT_S else b""

    def _write(self, selector: selectors.BaseSelector, stdin: IO[bytes]) -> bool:
        try:
            sent = os.write(stdin.fileno(), self._pending[:_BLOCK])
        except BlockingIOError:
            return False
        except OSError:  # the other side has ended; what it said is still to be read
            self._open = False
            return False
        self._pending = self._pending[sent:]
        self._spoke = time.monotonic()
        return True

    def _parse(self, buffer: bytearray) -> Iterator[Event]:
        """Take whole lines out of `buffer`; before the greeting, the login shell's noise."""
        while (end := buffer.find(b"\n")) >= 0:
            line = bytes(buffer[:end])
            del buffer[: end + 1]
            if not self.greeted:
                self.greeted = line == board_agent.HELLO.encode()
            elif line:
                yield _event(line)
        if len(buffer) > (_MAX_LINE_BYTES if self.greeted else _MAX_NOISE_BYTES):
            raise DeviceError("the board sends a line without end; it is not edgesynth's agent")


def _event(line: bytes) -> Event:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        event = None
    if not isinstance(event, dict):
        text = shown(line[:80].decode("utf-8", "replace"))
        raise DeviceError(f'the board\'s answer is damaged: "{text}"; run again')
    return event


def _stop(process: subprocess.Popen[bytes], grace_s: float) -> None:
    """End the conversation: the closed input tells the agent, then the transport is ended."""
    stdin, stdout = _pipes(process)
    stdin.close()
    deadline = time.monotonic() + grace_s
    with selectors.DefaultSelector() as selector:
        if not stdout.closed:
            selector.register(stdout, selectors.EVENT_READ)
            while time.monotonic() < deadline:
                if selector.select(0.1) and not os.read(stdout.fileno(), _BLOCK):
                    break
    stdout.close()
    for end in (lambda: None, process.terminate, process.kill):
        end()
        try:
            process.wait(2.0)
            return
        except subprocess.TimeoutExpired:
            continue


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    if process.stdin is None or process.stdout is None:
        raise ValueError("a transport starts programs with pipes")
    return process.stdin, process.stdout


def _text(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read(_MAX_NOISE_BYTES).decode("utf-8", "replace")
