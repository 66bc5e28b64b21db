"""A container's folder, `<cluster>/pods/<pod uid>/<container>`: its records, and the log that its shim writes.

Log lines are a kubelet's, `<time> stdout|stderr F|P <text>`; P is a piece of a line that goes on in the next. Light,
because every shim imports it.
"""

from __future__ import annotations

import json
import os
from typing import Any

from localkube.values import nanoseconds

SPEC = "spec.json"  # what to run; holds the environment, so only its owner may read it
SHIM = "shim.json"  # pid and identity of the shim, written before anything runs
STARTED = "started.json"
EXITED = "exited.json"
SHUTDOWN = "shutdown.json"  # the node was shut down while the container ran, which is why it ended
LOCK = "lock"
LOG = "log"
TERMINATION_LOG = "termination-log"
WORK = "work"
MARKER = "LOCALKUBE_CONTAINER"  # environment variable that distinguishes a container's processes from all others

MAX_PIECE = 16 * 1024
MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_FILES = 4


def read(folder: str, name: str) -> dict[str, Any] | None:
    """Return a record, or None where there is none (yet)."""
    try:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            return json.load(file)
    except (FileNotFoundError, ValueError):
        return None


def write(folder: str, name: str, record: dict[str, Any]) -> None:
    """Write a record so that no reader ever sees half of it."""
    path = f"{folder}/{name}"
    descriptor = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        json.dump(record, file)
    os.replace(path + ".new", path)


def marker(folder: str) -> str:
    """Return the marker's value for a container's folder: `<pod uid>/<container>`."""
    return "/".join(folder.rstrip("/").split("/")[-2:])


class LogFile:
    """Writes chunks of output as log lines; keeps at most `MAX_FILES` files of `MAX_FILE_BYTES` each."""

    def __init__(self, path: str, file_bytes: int = MAX_FILE_BYTES) -> None:
        self._path = path
        self._file_bytes = file_bytes
        self._unfinished = {"stdout": b"", "stderr": b""}
        self._open()

    def write(self, stream: str, chunk: bytes) -> None:
        """Write a chunk of a stream; a last line without its end waits for more."""
        now = nanoseconds()
        *lines, rest = (self._unfinished[stream] + chunk).split(b"\n")
        pieces = [piece for line in lines for piece in _pieces(line)]
        while len(rest) > MAX_PIECE:
            pieces.append((b"P", rest[:MAX_PIECE]))
            rest = rest[MAX_PIECE:]
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
        for number in range(MAX_FILES - 1, 0, -1):
            older = self._path if number == 1 else f"{self._path}.{number - 1}"
            if os.path.exists(older):
                os.replace(older, f"{self._path}.{number}")
        self._open()

    def _open(self) -> None:
        self._file = open(self._path, "ab", buffering=0)  # noqa: SIM115 - open for the container's life
        self._size = self._file.tell()


def _pieces(line: bytes) -> list[tuple[bytes, bytes]]:
    starts = range(0, max(len(line), 1), MAX_PIECE)
    return [(b"F" if start + MAX_PIECE >= len(line) else b"P", line[start : start + MAX_PIECE]) for start in starts]


def _format(now: str, stream: str, flag: bytes, text: bytes) -> bytes:
    return b"%b %b %b %b\n" % (now.encode(), stream.encode(), flag, text)
