"""A command of a run, with the input, the output and the terminal of this process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from threading import Thread

from trainyard.client.commands import RESIZE, STDERR, STDIN, Command
from trainyard.client.rest import RestClient

_PIECE = 32 * 1024
_MAX_AHEAD = 8


def has_terminal() -> bool:
    """Say whether a person is at both ends; on Windows there is no terminal that could be passed on."""
    return os.name == "posix" and sys.stdin.isatty() and sys.stdout.isatty()


class Conversation:
    """One command that reads what this process reads, and writes where it writes."""

    def __init__(self, service: RestClient, model_id: str, command: Command) -> None:
        self._service, self._model_id, self._command = service, model_id, command
        self._messages: asyncio.Queue[bytes | None] = asyncio.Queue(_MAX_AHEAD)

    def run(self) -> int:
        """Run the command and return its exit code."""
        with _raw(sys.stdin.fileno()) if self._command.tty else _as_it_is():
            return asyncio.run(self._converse())

    async def _converse(self) -> int:
        loop = asyncio.get_running_loop()
        self._messages = asyncio.Queue(_MAX_AHEAD)
        if self._command.tty:
            loop.add_signal_handler(signal.SIGWINCH, self._resized)
            self._resized()
        if self._command.stdin:
            # Nothing waits for it: it may hang in a read that never returns.
            Thread(target=self._read, args=(loop,), daemon=True).start()
        return await self._service.converse(self._model_id, self._command, self._inputs(), _write)

    def _resized(self) -> None:
        # Not what COLUMNS and LINES say: a shell that exports them need not have kept up with the window.
        size = os.get_terminal_size(sys.stdout.fileno())
        message = bytes([RESIZE]) + json.dumps({"Width": size.columns, "Height": size.lines}).encode()
        if not self._messages.full():
            self._messages.put_nowait(message)

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            try:
                chunk = os.read(0, _PIECE)
            except OSError:
                chunk = b""
            try:
                put = self._messages.put(bytes([STDIN]) + chunk if chunk else None)
                asyncio.run_coroutine_threadsafe(put, loop).result()
            except (RuntimeError, asyncio.CancelledError):  # the loop has ended with the command
                return
            if not chunk:
                return

    async def _inputs(self) -> AsyncIterator[bytes]:
        while self._command.stdin or self._command.tty:
            message = await self._messages.get()
            if message is None:
                return
            yield message


async def _write(channel: int, content: bytes) -> None:
    await asyncio.to_thread(_write_all, 2 if channel == STDERR else 1, content)


def _write_all(target: int, content: bytes) -> None:
    while content:
        content = content[os.write(target, content) :]


@contextmanager
def _raw(terminal: int) -> Iterator[None]:
    """Pass every key on, Ctrl-C too, until the command has ended."""
    import termios
    import tty

    before = termios.tcgetattr(terminal)
    try:
        tty.setraw(terminal)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield
