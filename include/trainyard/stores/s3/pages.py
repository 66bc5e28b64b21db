"""Pages of a listing, without boto3's parser: it takes five times as long, a minute for a million keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus
from xml.etree import ElementTree

from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError

from trainyard.domain.digest import plain_md5
from trainyard.stores.base import Entry
from trainyard.stores.listing import ListingCheck
from trainyard.stores.s3.http import S3Http

_ANY = "{*}"
# What S3 puts into a page.
_FULL = 1000


@dataclass(frozen=True)
class Place:
    """Where a page begins: at a token, behind a key, or behind a key for servers of the first version.

    `doubted` says that the server has called the listing whole before.
    """

    token: str = ""
    after: str = ""
    marker: str = ""
    doubted: bool = False


@dataclass(frozen=True)
class Page:
    """What a page lists, from which key to which, of how many objects; `truncated` is None where it does not say."""

    entries: Sequence[Entry]
    first: str
    last: str
    count: int
    truncated: bool | None
    token: str

    def next(self, here: Place) -> Place | None:
        """Return where the next page is; None at the end.

        A page that is full is never taken for the last one: some servers end there because they know no second page.
        """
        if self.token and not here.marker:
            return Place(token=self.token)
        if self.truncated or (self.truncated is None and self.count >= _FULL):
            return Place(marker=self.last)
        return Place(after=self.last, doubted=True) if self.count >= _FULL else None


def follow(get: Callable[[Place], Page], check: ListingCheck, after: str) -> Iterator[Entry]:
    """Yield the entries of all pages behind a key; raise StoreError for a listing that is cut off, or has no end."""
    place: Place | None = Place(after=after)
    while place is not None:
        page = get(place)
        if place.doubted and not check.leads_on(page.first):
            return  # there is nothing more, or the server does not know how to begin behind a key
        check.page(page.entries, page.first, page.last)
        # Not every server begins where it is asked to.
        yield from (entry for entry in page.entries if not after or entry.key > after)
        place = page.next(place)
        if place is not None and not (place.token or place.marker or place.after):
            raise check.wrong("it is cut off, and does not say where it goes on")
        if place is not None and place.token:
            check.token(place.token)


class Pages:
    """The pages of one bucket; boto3 signs the requests."""

    def __init__(self, client: Any, http: S3Http, bucket: str) -> None:
        self._client, self._http, self._bucket = client, http, bucket

    def get(self, prefix: str, place: Place) -> Page | None:
        """Return a page; None where boto3 is to ask, and to say why."""
        operation, asked = asked_for(self._bucket, prefix, place)
        try:
            url = self._client.generate_presigned_url(operation, Params={**asked, "EncodingType": "url"})
            answer = self._http.send(AWSRequest("GET", url).prepare())
            return _page(answer.content) if answer.status_code == 200 else None
        except (BotoCoreError, ElementTree.ParseError, ValueError, KeyError):
            return None


def asked_for(bucket: str, prefix: str, place: Place) -> tuple[str, dict[str, str]]:
    """Return the operation that lists a page, as boto3 calls it, and its parameters."""
    asked = {"Bucket": bucket, "Prefix": prefix}
    if place.marker:
        return "list_objects", {**asked, "Marker": place.marker}
    begin = {"ContinuationToken": place.token} if place.token else {"StartAfter": place.after} if place.after else {}
    return "list_objects_v2", {**asked, **begin}


def page_of(answer: Mapping[str, Any]) -> Page:
    """Return the page that boto3 has read."""
    items = answer.get("Contents", ())
    found = (
        _entry_of(one["Key"], one["Size"], one.get("ETag", ""), seconds_of(one.get("LastModified"))) for one in items
    )
    first, last = (items[0]["Key"], items[-1]["Key"]) if items else ("", "")
    token = answer.get("NextContinuationToken", "")
    return Page([entry for entry in found if entry], first, last, len(items), answer.get("IsTruncated"), token)


def seconds_of(modified: datetime | None) -> int | None:
    """Return the moment in whole seconds since the epoch."""
    return None if modified is None else int(modified.timestamp())


def _entry_of(key: str, size: int, etag: str, modified: int | None) -> Entry | None:
    """Return what a listing reports of an object; None where it only stands for a folder."""
    etag = etag.strip('"')
    if key.endswith("/") and size == 0:
        return None
    return Entry(key, size, etag, plain_md5(etag), None if etag else modified)


def _page(content: bytes) -> Page | None:
    root = ElementTree.fromstring(content)
    if not root.tag.endswith("ListBucketResult"):
        return None
    encoded = root.findtext(f"{_ANY}EncodingType") == "url"
    items = [_read(item, encoded) for item in root.iterfind(f"{_ANY}Contents")]
    entries = [entry for item in items if (entry := _entry_of(*item))]
    first, last = (items[0][0], items[-1][0]) if items else ("", "")
    truncated = {"true": True, "false": False}.get((root.findtext(f"{_ANY}IsTruncated") or "").strip().lower())
    token = root.findtext(f"{_ANY}NextContinuationToken") or ""
    return Page(entries, first, last, len(items), truncated, token)


def _read(item: ElementTree.Element, encoded: bool) -> tuple[str, int, str, int | None]:
    found = {child.tag.rpartition("}")[2]: child.text or "" for child in item}
    key = unquote_plus(found["Key"]) if encoded else found["Key"]
    etag = found.get("ETag", "")
    return key, int(found["Size"]), etag, None if etag else _seconds_in(found.get("LastModified", ""))


def _seconds_in(modified: str) -> int | None:
    try:
        return seconds_of(datetime.fromisoformat(modified))
    except ValueError:
        return None
