"""An object that comes from a client, into a store as it arrives: whole and as it was sent, or not at all."""

from __future__ import annotations

from contextlib import suppress
from tempfile import TemporaryFile
from typing import BinaryIO, Protocol

from trainyard.domain.digest import CHUNK, md5
from trainyard.errors import TrainyardError
from trainyard.stores.base import Entry, Multipart, Store, StoreError, check_key


class Incoming(Protocol):
    """What a client sends."""

    def read(self, size: int) -> bytes:
        """Return up to so many bytes, at least one; none at the end. Whatever it raises ends the upload."""


def receive(store: Store, key: str, source: Incoming, size: int, digest: str = "") -> Entry:
    """Store `size` bytes under a key, replacing what was there; with `digest`, an MD5 in hex, only what has that.

    What has not arrived yet takes room on the disk, and a part of a large object takes memory while the store is sent
    it. Raise TrainyardError C110 where something else arrives than was announced; nothing is stored then.
    """
    check_key(key)
    arriving = _Arriving(source, size, digest)
    parts = store.in_parts(key, size, resume=False)
    if parts is not None:
        return _in_parts(parts, arriving, size)
    with TemporaryFile() as file:
        arriving.copy(size, file)
        return store.put(key, file, size)


def _in_parts(parts: Multipart, arriving: _Arriving, size: int) -> Entry:
    try:
        for number in range(-(-size // parts.part)):
            # A part waits on the disk: the memory of a part for every slow client would be too much.
            with TemporaryFile() as file:
                arriving.copy(min(parts.part, size - number * parts.part), file)
                file.seek(0)
                parts.put(number, file.read())
        return parts.finish()
    except BaseException:
        # What has failed may be the network, and then this fails too.
        with suppress(StoreError):
            parts.abort()
        raise


class _Arriving:
    """Counts and digests what arrives; with its last byte it is compared with what was announced."""

    def __init__(self, source: Incoming, size: int, digest: str) -> None:
        self._source, self._left, self._digest, self._known = source, size, digest, md5()
        if not size:
            self._check()

    def copy(self, size: int, into: BinaryIO) -> None:
        """Write the next bytes into a file; raise TrainyardError C110 if they are not what was announced."""
        while size:
            chunk = self._source.read(min(size, CHUNK))
            if not chunk:
                raise TrainyardError("C110", "the object ended before its Content-Length", "Send it again.")
            self._known.update(chunk)
            into.write(chunk)
            size -= len(chunk)
            self._left -= len(chunk)
        if not self._left:
            self._check()

    def _check(self) -> None:
        if self._digest and self._known.hexdigest() != self._digest:
            raise TrainyardError("C110", "the object does not have the MD5 of its Content-MD5", "Send it again.")
