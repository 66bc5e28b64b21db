"""Swift's large objects: segments that lie in a container, joined to one object by a manifest.

A static one lists its segments with size and digest, and its etag is the digest of theirs; a dynamic one is whatever
starts with a prefix at the moment.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO
from urllib.parse import unquote
from uuid import uuid4

from trainyard.domain.digest import PART, md5, md5_of_parts

DEEPEST = 10  # levels of manifests in manifests; Swift reads no deeper either
MAX_SEGMENTS = 1000  # of one manifest, unless Swift is told otherwise
MANIFEST_GET, MANIFEST_PUT = "multipart-manifest=get", "multipart-manifest=put"
_MAX_STEM_LENGTH = 900  # bytes, so that a segment's name stays below the 1,024 of an object
_OURS = re.compile(r"(\d+)-(\d+)-[0-9a-f]{32}/(\d{8})")


@dataclass(frozen=True)
class Segment:
    """A piece of a static large object; `md5` is None where it is not the whole of another object."""

    container: str
    name: str
    size: int
    md5: str | None = None
    nested: bool = False


def is_static(headers: Mapping[str, str]) -> bool:
    return headers.get("x-static-large-object", "").lower() == "true"


def is_large(headers: Mapping[str, str]) -> bool:
    return is_static(headers) or "x-object-manifest" in headers


def etag_of(headers: Mapping[str, str]) -> str:
    """Return the etag without its quotes.

    It is empty for a dynamic large object that has more segments than a page of a listing: Swift reports no size of it
    then, nor an etag but the manifest's own, which is the one without quotes.
    """
    etag = headers.get("etag", "")
    return etag.strip('"') if etag.startswith('"') or "x-object-manifest" not in headers else ""


def read_manifest(text: str | bytes) -> list[Segment]:
    """Read the manifest of a static large object as Swift reports it."""
    return [_segment(row) for row in json.loads(text)]


def manifest_of(segments: Sequence[Segment]) -> str:
    """Write the manifest of whole segments as Swift takes it."""
    rows = [{"path": f"/{one.container}/{one.name}", "etag": one.md5, "size_bytes": one.size} for one in segments]
    return json.dumps(rows)


def hash_of_hashes(segments: Sequence[Segment]) -> str | None:
    """Return the etag of a static large object, None where its segments do not report it."""
    if any(segment.md5 is None for segment in segments):
        return None
    return _etag([str(segment.md5) for segment in segments])


def etag_of_parts(source: BinaryIO, part: int) -> str:
    """Return the etag of a file whose segments have `part` bytes each; leave the file at its start."""
    return _etag([digest.hexdigest() for digest in md5_of_parts(source, part)])


def parts_of_dynamic(manifest: str) -> tuple[str, str]:
    """Return container and prefix of what a dynamic large object consists of, from the header that reports them."""
    container, _, prefix = unquote(manifest).partition("/")
    return container, prefix


def part_size(size: int, most: int) -> int:
    """Return how large the segments are in which `size` bytes are stored, where one should have `most` bytes."""
    return max(min(PART, most), math.ceil(size / MAX_SEGMENTS))


def segments_folder(key: str) -> str:
    """Return what the names of all segments of a key start with."""
    stem = key if len(key.encode()) <= _MAX_STEM_LENGTH else hashlib.sha256(key.encode()).hexdigest()
    return f"{stem}/slo/"


@dataclass(frozen=True)
class Leftover:
    """A segment that an upload of ours has stored: where it lies, which part it is of how many bytes, and its age."""

    segment: Segment
    size: int
    part: int
    number: int
    age: timedelta

    @classmethod
    def read(cls, container: str, key: str, item: Mapping[str, Any]) -> Leftover | None:
        """Read a row of a listing; return None if it is none of ours, or another key's."""
        name = item["name"]
        found = _OURS.fullmatch(name.removeprefix(segments_folder(key)))
        if not found or not name.startswith(segments_folder(key)):
            return None
        age = datetime.now(UTC) - datetime.fromisoformat(item["last_modified"]).replace(tzinfo=UTC)
        size, part, number = map(int, found.groups())
        return cls(Segment(container, name, item["bytes"], item["hash"]), size, part, number, age)


def upload_folder(key: str, size: int, part: int) -> str:
    """Return a new folder for the segments of one upload, which says how it was cut."""
    return f"{segments_folder(key)}{size}-{part}-{uuid4().hex}"


class SegmentCheck:
    """Digests what passes by; `changed` names the first segment that is not what the manifest says."""

    def __init__(self, segments: Sequence[Segment] = ()) -> None:
        self._rest = deque(segments)
        self._digest, self._seen = md5(), 0
        self.changed = ""

    def update(self, data: bytes) -> None:
        view = memoryview(data)
        while view and self._rest:
            piece = view[: self._rest[0].size - self._seen]
            self._digest.update(piece)
            self._seen += len(piece)
            view = view[len(piece) :]
            if self._seen == self._rest[0].size:
                self._finish(self._rest.popleft())

    def _finish(self, segment: Segment) -> None:
        if segment.md5 not in (None, self._digest.hexdigest()):
            self.changed = self.changed or segment.name
        self._digest, self._seen = md5(), 0


def _segment(row: Mapping[str, Any]) -> Segment:
    if "data" in row:
        return Segment("", "", len(base64.b64decode(row["data"])))
    container, _, name = row["name"].lstrip("/").partition("/")
    if "range" in row:
        first, last = map(int, row["range"].split("-"))
        return Segment(container, name, last - first + 1, nested=bool(row.get("sub_slo")))
    nested = bool(row.get("sub_slo"))
    return Segment(container, name, row["bytes"], None if nested else row["hash"], nested)


def _etag(digests: Sequence[str]) -> str:
    return md5("".join(digests).encode()).hexdigest()
