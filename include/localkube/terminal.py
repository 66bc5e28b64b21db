"""A pseudo-terminal for `kubectl exec -it`."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import struct
import termios
from collections.abc import AsyncIterator


class Terminal:
    """`inner` is the command's end, until it is given away; this process keeps the other."""

    def __init__(self) -> None:
        self._outer, self.inner = os.openpty()
        os.set_blocking(self._outer, False)

    def give_away(self) -> None:
        """Close the command's end here, so that the output ends with the command."""
        os.close(self.inner)

    def close(self) -> None:
        os.close(self._outer)

    def write(self, content: bytes) -> None:
        while content:
            try:
                content = content[os.write(self._outer, content) :]
            except BlockingIOError:  # a command that reads nothing loses what is typed beyond the terminal's buffer
                return

    def resize(self, content: bytes) -> None:
        """Take over the size of the client's window, as the protocol's JSON gives it."""
        try:
            size = json.loads(content)
            packed = struct.pack("HHHH", int(size["Height"]), int(size["Width"]), 0, 0)
        except (ValueError, KeyError, TypeError, struct.error):
            return
        fcntl.ioctl(self._outer, termios.TIOCSWINSZ, packed)

    async def output(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(self._outer, readable.set)
        try:
            while True:
                await readable.wait()
                readable.clear()
                try:
                    yield os.read(self._outer, 32768)
                except BlockingIOError:  # read before the loop's second call for the same output
                    continue
                except OSError:  # the command's end was closed by the last that had it
                    return
        finally:
            loop.remove_reader(self._outer)
