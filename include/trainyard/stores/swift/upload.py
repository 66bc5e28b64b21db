"""A large object on its way into Swift: its parts become segments, a manifest makes one object of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from io import BytesIO
from threading import Lock

from swiftclient import ClientException

from trainyard.domain.digest import md5
from trainyard.stores.base import Entry, Why
from trainyard.stores.swift import large as large
from trainyard.stores.swift.large import Leftover, Segment
from trainyard.stores.swift.refusals import SwiftRefusals
from trainyard.stores.swift.segments import SwiftSegments
from trainyard.stores.swift.session import SwiftSession

# No upload lasts as long, so that segments of this age without a manifest are left over from a killed one.
ABANDONED = timedelta(days=1)


class SwiftUpload:
    """One upload, with a folder of its own among the segments: what it replaces stays whole until it is finished.

    `alone` says that nobody else writes the key: what earlier uploads have left is taken up, and removed at the end.
    """

    def __init__(
        self,
        session: SwiftSession,
        refusals: SwiftRefusals,
        segments: SwiftSegments,
        key: str,
        size: int,
        part: int,
        alone: bool,
    ) -> None:
        self.part = part
        self.abandoned_after = ABANDONED
        self._session, self._refusals, self._segments = session, refusals, segments
        self._key, self._size, self._alone = key, size, alone
        self._folder = large.upload_folder(key, size, part)
        self._lock = Lock()
        self._parts = self._taken_up() if alone else {}
        self.stored: Mapping[int, str] = {number: str(part.md5) for number, part in self._parts.items()}

    def put(self, number: int, data: bytes | bytearray) -> None:
        part = Segment(self._segments.container, f"{self._folder}/{number:08d}", len(data), md5(data).hexdigest())
        with self._refusals.during("write to", self._key, moving=True):
            etag = self._session.connection.put_object(
                part.container, part.name, BytesIO(data), content_length=len(data)
            )
            if etag != part.md5:
                raise self._refusals.because(Why.BROKEN, "write to", self._key, f"part {number} arrived changed")
        with self._lock:
            self._parts[number] = part

    def finish(self) -> Entry:
        parts = [self._parts[number] for number in sorted(self._parts)]
        with self._refusals.during("write to", self._key):
            replaced = self._segments.of(self._key)
            etag = self._put_manifest(parts)
            kept = {part.name for part in parts}
            left = [one.segment for one in self._segments.left_by(self._key) if self._is_over(one)]
            self._segments.remove(one for one in (*replaced, *left) if one.name not in kept)
        return Entry(self._key, self._size, etag)

    def abort(self) -> None:
        with self._refusals.during("write to", self._key):
            live = {one.name for one in self._segments.of(self._key)}
            self._segments.remove(part for part in self._parts.values() if part.name not in live)
        self._parts.clear()

    def _taken_up(self) -> dict[int, Segment]:
        with self._refusals.during("write to", self._key):
            found = self._segments.left_by(self._key)
        return {one.number: one.segment for one in found if (one.size, one.part) == (self._size, self.part)}

    def _put_manifest(self, parts: Sequence[Segment]) -> str:
        if sum(part.size for part in parts) != self._size:
            raise self._refusals.because(Why.NO_UPLOAD, "write to", self._key)
        try:
            # Swift compares the digest of every segment, and of all, with what it has.
            etag: str = self._session.connection.put_object(
                self._segments.bucket,
                self._key,
                large.manifest_of(parts),
                etag=large.hash_of_hashes(parts),
                query_string=large.MANIFEST_PUT,
            )
        except ClientException as error:
            if error.http_status != 400:
                raise
            raise self._refusals.because(Why.NO_UPLOAD, "write to", self._key) from None
        return etag

    def _is_over(self, left: Leftover) -> bool:
        return self._alone or left.age > self.abandoned_after
