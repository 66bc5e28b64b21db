"""OpenStack Swift with python-swiftclient, signed in at Keystone v3."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, BinaryIO

from swiftclient import ClientException

from trainyard.domain.digest import CHUNK, plain_md5
from trainyard.domain.training import Credentials, StoreRef
from trainyard.stores.base import Entry, StoreError, Why, check_key, put_parts
from trainyard.stores.listing import ListingCheck
from trainyard.stores.network.call import Call
from trainyard.stores.network.limits import NetworkLimits
from trainyard.stores.refusals import place_of
from trainyard.stores.swift import large as large
from trainyard.stores.swift.large import SegmentCheck
from trainyard.stores.swift.listing import rows_of
from trainyard.stores.swift.refusals import SwiftRefusals
from trainyard.stores.swift.segments import SwiftSegments
from trainyard.stores.swift.session import SwiftSession
from trainyard.stores.swift.upload import SwiftUpload

# Swift takes at most 5 GiB as one object, unless it is told otherwise.
SEGMENT_BYTES = 4 * 1024**3

# For what no listing has reported the size of: whoever it is written to refuses too much.
_ANY_SIZE = 2**63
_EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"
_FOLDER_TYPES = ("application/directory", "application/x-directory", "httpd/unix-directory")


class SwiftStore:
    """One Swift container. Safe to use from many threads; nothing is sent before the first use.

    What is larger than `segment_bytes` is stored in segments, in the container `<bucket>_segments`.
    """

    ranged = True

    def __init__(
        self,
        ref: StoreRef,
        credentials: Credentials,
        ca_bundle: str = "",
        segment_bytes: int = SEGMENT_BYTES,
        limits: NetworkLimits | None = None,
    ) -> None:
        self.place = place_of(ref)
        self._bucket, self._segment_bytes = ref.bucket, segment_bytes
        self._session = SwiftSession(ref, credentials, ca_bundle)
        self._limits = limits or NetworkLimits()
        self._refusals = SwiftRefusals(ref, self._session, self._limits)
        self._segments = SwiftSegments(self._session, ref.bucket, self._rows)

    def list(self, prefix: str = "", after: str = "") -> Iterator[Entry]:
        check = ListingCheck(self._limits, self.place)
        for item in self._rows(self._bucket, prefix, after, check):
            with self._refusals.during("list") as call:
                entry = None if _stands_for_folder(item) else self._listed(item)
            check.waited(call.waited)
            if entry:
                yield entry

    def get(self, key: str, into: BinaryIO) -> Entry:
        return self._get(key, into, _ANY_SIZE)

    def read(self, listed: Entry, start: int, size: int, into: BinaryIO) -> Entry:
        if size == listed.size:
            return self._get(listed.key, into, size, listed.etag)
        check_key(listed.key)
        wanted = {"Range": f"bytes={start}-{start + size - 1}"}
        wanted |= {"If-Match": f'"{listed.etag}"'} if listed.etag else {}
        with self._refusals.during("read from", listed.key, size=start + size):
            headers, body = self._session.connection.get_object(
                self._bucket, listed.key, resp_chunk_size=CHUNK, headers=wanted
            )
            # A dynamic large object of very many segments may come from its start, and reports no size.
            ranged = "content-range" in headers
            arrived = 0
            for chunk in _cut(body, 0 if ranged else start, size):
                arrived += len(chunk)
                into.write(chunk)
            body.close()
            if arrived != size:
                raise self._broken(listed.key, f"it ended after {arrived} of {size} bytes")
            reported = headers["content-range"].rpartition("/")[2] if ranged and large.etag_of(headers) else ""
        return _entry(listed.key, int(reported) if reported.isdecimal() else listed.size, headers)

    def put(self, key: str, source: BinaryIO, size: int) -> Entry:
        upload = self.in_parts(key, size, resume=False)
        if upload:
            return put_parts(upload, source, size)
        source.seek(0)
        with self._refusals.during("write to", key, moving=True):
            free = self._segments.of(key) if self._segments.exists else []
            # swiftclient would send an empty file in chunks, without a length.
            contents = source if size else b""
            etag = self._session.connection.put_object(self._bucket, key, contents, content_length=size)
            self._segments.remove(free)
        return Entry(key, size, etag, plain_md5(etag))

    def in_parts(self, key: str, size: int, resume: bool) -> SwiftUpload | None:
        check_key(key)
        if size <= self._segment_bytes:
            return None
        with self._refusals.during("write to", key):
            self._segments.ensure()
        part = large.part_size(size, self._segment_bytes)
        return SwiftUpload(self._session, self._refusals, self._segments, key, size, part, resume)

    def etag_in_parts(self, source: BinaryIO, size: int) -> str | None:
        if size <= self._segment_bytes:
            return None
        return large.etag_of_parts(source, large.part_size(size, self._segment_bytes))

    def delete(self, key: str) -> None:
        check_key(key)
        try:
            with self._refusals.during("delete from", key):
                self._segments.remove(self._segments.of(key))
                self._session.connection.delete_object(self._bucket, key)
        except StoreError as error:
            if error.why is not Why.NO_KEY:
                raise

    def _get(self, key: str, into: BinaryIO, most: int, etag: str = "") -> Entry:
        check_key(key)
        with self._refusals.during("read from", key, size=most):
            headers, body, check = self._opened(key)
            # Before anything is written: what has arrived of an object counts for it, whatever comes of the rest.
            if etag and large.etag_of(headers) not in ("", etag):
                raise self._refusals.because(Why.CHANGED, "read from", key)
            size = 0
            for chunk in body:
                size += len(chunk)
                if size > most:
                    raise self._broken(key, f"it has more than the {most} bytes that were listed")
                check.update(chunk)
                into.write(chunk)
            if check.changed:
                raise self._broken(key, f"segment {check.changed} arrived changed")
        return _entry(key, size, headers)

    def _opened(self, key: str) -> tuple[dict[str, str], Any, SegmentCheck]:
        connection = self._session.connection
        headers, body = self._begun(connection, key)
        if not large.is_static(headers):
            return headers, body, SegmentCheck()
        # A connection is at one request at a time: the content is asked for again, once its segments are known.
        body.close()
        with self._refusals.during("read from", key):
            manifest = connection.get_object(self._bucket, key, query_string=large.MANIFEST_GET)[1]
        segments = large.read_manifest(manifest)
        headers, body = self._begun(connection, key)
        if large.hash_of_hashes(segments) not in (None, large.etag_of(headers)):
            raise self._refusals.because(Why.CHANGED, "read from", key)
        return headers, body, SegmentCheck(segments)

    def _begun(self, connection: Any, key: str) -> tuple[dict[str, str], Any]:
        try:
            headers, body = connection.get_object(self._bucket, key, resp_chunk_size=CHUNK)
        except TypeError:  # swiftclient's, of an answer without a length
            raise self._broken(key, "its answer does not say how long it is") from None
        return headers, body

    def _listed(self, item: dict[str, Any]) -> Entry | None:
        if item["bytes"] == 0 and item["hash"] == _EMPTY_MD5:
            return self._listed_empty(item["name"])
        if "slo_etag" in item:
            return Entry(item["name"], item["bytes"], item["slo_etag"].strip('"'))
        return Entry(item["name"], item["bytes"], item["hash"], plain_md5(item["hash"]))

    def _listed_empty(self, key: str) -> Entry | None:
        """Look closer: a dynamic large object is listed as if it were empty. Return None if it has just gone."""
        try:
            headers = self._session.connection.head_object(self._bucket, key)
        except ClientException as error:
            if error.http_status != 404:
                raise
            return None
        manifest = headers.get("x-object-manifest")
        if manifest and not large.etag_of(headers):
            return Entry(key, sum(row["bytes"] for row in self._rows(*large.parts_of_dynamic(manifest))), "")
        return _entry(key, int(headers["content-length"]), headers)

    def _rows(
        self, container: str, prefix: str, after: str = "", check: ListingCheck | None = None
    ) -> Iterator[dict[str, Any]]:
        check = check or ListingCheck(self._limits, self.place)
        return rows_of(lambda: self._session.connection, container, prefix, after, check, self._listing)

    def _listing(self) -> AbstractContextManager[Call]:
        return self._refusals.during("list")

    def _broken(self, key: str, detail: str) -> StoreError:
        return self._refusals.because(Why.BROKEN, "read from", key, detail)


def _entry(key: str, size: int, headers: dict[str, str]) -> Entry:
    etag = large.etag_of(headers)
    return Entry(key, size, etag, None if large.is_large(headers) else plain_md5(etag))


def _cut(chunks: Iterable[bytes], skip: int, size: int) -> Iterator[bytes]:
    for chunk in chunks:
        piece = chunk[skip : skip + size]
        skip, size = max(skip - len(chunk), 0), size - len(piece)
        if piece:
            yield piece
        if not size:
            return


def _stands_for_folder(item: dict[str, Any]) -> bool:
    marked = item.get("content_type", "").startswith(_FOLDER_TYPES) or item["name"].endswith("/")
    return bool(marked and item["bytes"] == 0)
