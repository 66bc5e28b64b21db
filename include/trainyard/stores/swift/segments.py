"""The segments of a container's large objects: where they lie, which belong to an object, how they are removed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any

from swiftclient import ClientException

from trainyard.stores.swift import large as large
from trainyard.stores.swift.large import Leftover, Segment
from trainyard.stores.swift.session import SwiftSession

# Yields what a container lists below a prefix.
Rows = Callable[[str, str], Iterator[dict[str, Any]]]


class SwiftSegments:
    """The container `<bucket>_segments`; `rows` lists one. Raise what swiftclient and Keystone's library raise."""

    def __init__(self, session: SwiftSession, bucket: str, rows: Rows) -> None:
        self._session, self.bucket, self._rows = session, bucket, rows
        self.container = f"{bucket}_segments"

    @cached_property
    def exists(self) -> bool:
        """Whether there is the container; only where there is one can an object of ours have segments."""
        try:
            self._session.connection.head_container(self.container)
        except ClientException as error:
            if error.http_status in (403, 404):
                return False
            raise
        return True

    def ensure(self) -> None:
        """Make the container."""
        if not self.exists:
            self._session.connection.put_container(self.container)
            self.exists = True

    def of(self, key: str) -> list[Segment]:
        """Return the segments that only the object needs; what lies in the bucket itself is an object of its own."""
        try:
            headers = self._session.connection.head_object(self.bucket, key)
        except ClientException as error:
            if error.http_status == 404:
                return []
            raise
        return self._outside(self.bucket, key) if large.is_static(headers) else []

    def left_by(self, key: str) -> list[Leftover]:
        """Return all segments of the key that our uploads have stored, oldest first."""
        prefix = large.segments_folder(key)
        read = (Leftover.read(self.container, key, item) for item in self._rows(self.container, prefix))
        return sorted((one for one in read if one), key=lambda one: one.age, reverse=True)

    def remove(self, segments: Iterable[Segment], depth: int = 0) -> None:
        """Delete them, and what nested ones consist of; missing ones are fine."""
        for segment in segments:
            if segment.nested and depth < large.DEEPEST:
                self.remove(self._outside(segment.container, segment.name), depth + 1)
            try:
                self._session.connection.delete_object(segment.container, segment.name)
            except ClientException as error:
                if error.http_status != 404:
                    raise

    def _outside(self, container: str, name: str) -> list[Segment]:
        manifest = self._session.connection.get_object(container, name, query_string=large.MANIFEST_GET)[1]
        return [part for part in large.read_manifest(manifest) if part.name and part.container != self.bucket]
