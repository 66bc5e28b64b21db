"""The port to an object store: list, get, put, delete."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, BinaryIO, Protocol

from trainyard.domain.objectkeys import fault_of_key
from trainyard.errors import TrainyardError


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of a bucket. `etag` is what the store says of the content; `md5` is its digest where that is known.

    Where a store gives no etag, `etag` is empty and `modified` is when the object was written, in whole seconds since
    the epoch, if the store reports that.
    """

    key: str
    size: int
    etag: str
    md5: str | None = None
    modified: int | None = None

    def differs(self, other: Entry) -> bool:
        """Say whether etags, or else the times of the last change, show that the two have different contents."""
        if self.etag and other.etag:
            return self.etag != other.etag
        # A listing may round what a header cuts off.
        return self.modified is not None and other.modified is not None and abs(self.modified - other.modified) > 1


def content_of(entry: Entry) -> tuple[str | int, ...]:
    """Return what a store says of an object's content: its etag, else when it was written, if that much is known."""
    return (entry.etag,) if entry.etag or entry.modified is None else ("", entry.modified)


class Why(StrEnum):
    """Why a store did not do what was asked."""

    CREDENTIALS = "credentials"
    NO_BUCKET = "no-bucket"
    NO_KEY = "no-key"
    EMPTY = "empty"
    FORBIDDEN = "forbidden"
    BAD_KEY = "bad-key"
    UNREACHABLE = "unreachable"
    BROKEN = "broken"
    CHANGED = "changed"
    STALLED = "stalled"
    NO_UPLOAD = "no-upload"
    INCOMPLETE = "incomplete"
    ADDRESS = "address"
    UNTRUSTED = "untrusted"
    NO_HOST = "no-host"
    CLOCK = "clock"
    UNABLE = "unable"

    @property
    def code(self) -> str:
        return _CODES.get(self, "C103")


_CODES = {
    Why.UNREACHABLE: "S302",
    Why.BROKEN: "S302",
    Why.CHANGED: "S302",
    Why.STALLED: "S302",
    Why.NO_UPLOAD: "S302",
    Why.CLOCK: "S302",
    Why.INCOMPLETE: "S305",
    Why.ADDRESS: "C114",
    Why.UNTRUSTED: "C114",
}


class StoreError(TrainyardError):
    """A refusal or failure of an object store. Unreachable and broken stores are the service's fault, worth a retry."""

    def __init__(self, why: Why, message: str, hint: str) -> None:
        super().__init__(why.code, message, hint)
        self.why = why


class FileShrankError(StoreError):
    """Raised when a file became shorter while it was sent: the store would wait for the rest until it times out."""

    def __init__(self) -> None:
        super().__init__(Why.BROKEN, "a file became shorter while it was read", "Try again.")


class SigningKeys(Protocol):
    """S3 credentials that change while they are used, as those of a role do: botocore's, opened by whoever has them."""

    def get_frozen_credentials(self) -> Any:
        """Return `access_key`, `secret_key` and `token` that are good for some minutes at least."""


class Multipart(Protocol):
    """A file that is being stored in parts, which may arrive in any order and from many threads.

    Every method raises StoreError; NO_UPLOAD where the store has forgotten the upload, so that it has to start again.
    """

    @property
    def part(self) -> int:
        """The size of each part but the last, in bytes."""

    @property
    def stored(self) -> Mapping[int, str]:
        """The parts that an earlier attempt has stored: their numbers, from 0, with their MD5."""

    def put(self, number: int, data: bytes | bytearray) -> None:
        """Store a part and compare what has arrived. The data is the caller's, who writes the next part into it."""

    def finish(self) -> Entry:
        """Make the object of all parts; it replaces what has the key."""

    def abort(self) -> None:
        """Remove what has been stored of it."""


class Store(Protocol):
    """One bucket. Every method raises StoreError; keys are paths with `/`, never absolute, never with `..`."""

    @property
    def place(self) -> str:
        """Name the bucket and its endpoint, for messages."""

    @property
    def ranged(self) -> bool:
        """Whether `read` moves a part of an object without the rest of it."""

    def list(self, prefix: str = "", after: str = "") -> Iterator[Entry]:
        """Yield every object whose key starts with the prefix, in key order, however many pages it takes.

        With `after` only the keys behind that one. Empty objects that only stand for a folder are left out. Raise
        UNTRUSTED for a listing that cannot be known to be whole, or is larger than a listing may be.
        """

    def get(self, key: str, into: BinaryIO) -> Entry:
        """Write an object's bytes into an open file and say what they were; raise NO_KEY if it is not there.

        How many they are the store alone says: `into` has to refuse what would be too much.
        """

    def read(self, listed: Entry, start: int, size: int, into: BinaryIO) -> Entry:
        """Write `size` bytes of a listed object, from `start` on, into an open file, and say what the object is now.

        Raise CHANGED where the store notices that it is not what was listed, BROKEN for more or fewer bytes than asked
        for. Without `ranged` only the whole is asked.
        """

    def put(self, key: str, source: BinaryIO, size: int) -> Entry:
        """Store `size` bytes of a seekable file, read from its start, under the key, replacing what was there."""

    def in_parts(self, key: str, size: int, resume: bool) -> Multipart | None:
        """Begin to store a file in parts; return None where a file of this size is to be `put`.

        `resume` takes up what an earlier attempt with this key has left, and removes what cannot be used of it: only
        for keys that nobody else writes.
        """

    def etag_in_parts(self, source: BinaryIO, size: int) -> str | None:
        """Return the etag that a file of `size` bytes gets which is stored in parts, None where no file is.

        It is read from its start, and left there.
        """

    def delete(self, key: str) -> None:
        """Remove an object; a missing one is fine."""


class MovesWhole:
    """What a store answers that moves every object in one piece."""

    ranged = False

    def read(self: Store, listed: Entry, start: int, size: int, into: BinaryIO) -> Entry:  # noqa: ARG002
        return self.get(listed.key, into)

    def in_parts(self, key: str, size: int, resume: bool) -> Multipart | None:  # noqa: ARG002
        return None

    def etag_in_parts(self, source: BinaryIO, size: int) -> str | None:  # noqa: ARG002
        return None


def put_parts(parts: Multipart, source: BinaryIO, size: int) -> Entry:
    """Store a file in its parts, one after another, and nothing by half; raise FileShrankError if it ends early."""
    source.seek(0)
    try:
        for number in range(-(-size // parts.part)):
            parts.put(number, _exactly(source, min(parts.part, size - number * parts.part)))
        return parts.finish()
    except BaseException:
        # What has failed may be the network, and then this fails too.
        with suppress(StoreError):
            parts.abort()
        raise


def _exactly(source: BinaryIO, size: int) -> bytearray:
    data = bytearray()
    while len(data) < size:
        read = source.read(size - len(data))
        if not read:
            raise FileShrankError
        data += read
    return data


def check_key(key: str) -> str:
    """Return the key if it can be a path below a folder on any machine; raise StoreError BAD_KEY if not."""
    fault = fault_of_key(key)
    if fault:
        hint = "Rename the object: the parts of a key become folders and a file name."
        raise StoreError(Why.BAD_KEY, f"the key {key!r} cannot be a file: it {fault}", hint)
    return key
