"""The file that a container's output is written to, in the format and with the rotation of a kubelet.

A line is `<time> stdout|stderr F|P <text>`; P is a piece of a line that goes on in the next. Light, because every shim
imports it.
"""

from __future__ import annotations

import os

from localkube.timestamps import nanoseconds

LONGEST_PIECE = 16 * 1024
FILE_BYTES = 64 * 1024 * 1024
FILES = 4


class LogFile:
    """Writes chunks of output as log lines; keeps at most `FILES` files of `FILE_BYTES` each."""

    def __init__(self, path: str, file_bytes: int = FILE_BYTES) -> None:
        self._path = path
        self._file_bytes = file_bytes
        self._unfinished = {"stdout": b"", "stderr": b""}
        self._open()

    def write(self, stream: str, chunk: bytes) -> None:
        """Write what a stream brought; a last line without its end waits for more."""
        now = nanoseconds()
        *lines, rest = (self._unfinished[stream] + chunk).split(b"\n")
        pieces = [piece for line in lines for piece in _pieces(line)]
        while len(rest) > LONGEST_PIECE:
            pieces.append((b"P", rest[:LONGEST_PIECE]))
            rest = rest[LONGEST_PIECE:]
        self._unfinished[stream] = rest
        self._append(b"".join(_format(now, stream, flag, text) for flag, text in pieces))

    def end(self, stream: str) -> None:
        """Write the last line of a stream that ended without a line's end."""
        if rest := self._unfinished[stream]:
            self._unfinished[stream] = b""
            self._append(_format(nanoseconds(), stream, b"P", rest))

    def close(self) -> None:
        self._file.close()

    def _append(self, content: bytes) -> None:
        if not content:
            return
        self._file.write(content)
        self._size += len(content)
        if self._size >= self._file_bytes:
            self._rotate()

    def _rotate(self) -> None:
        self._file.close()
        for number in range(FILES - 1, 0, -1):
            older = self._path if number == 1 else f"{self._path}.{number - 1}"
            if os.path.exists(older):
                os.replace(older, f"{self._path}.{number}")
        self._open()

    def _open(self) -> None:
        self._file = open(self._path, "ab", buffering=0)  # noqa: SIM115 - open for the container's life
        self._size = self._file.tell()


def _pieces(line: bytes) -> list[tuple[bytes, bytes]]:
    starts = range(0, max(len(line), 1), LONGEST_PIECE)
    return [
        (b"F" if start + LONGEST_PIECE >= len(line) else b"P", line[start : start + LONGEST_PIECE]) for start in starts
    ]


def _format(now: str, stream: str, flag: bytes, text: bytes) -> bytes:
    return b"%b %b %b %b\n" % (now.encode(), stream.encode(), flag, text)
