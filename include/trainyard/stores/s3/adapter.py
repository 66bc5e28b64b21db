"""S3 with boto3: AWS's own and every other endpoint that speaks it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from functools import cached_property
from threading import Lock
from typing import Any, BinaryIO

from trainyard.domain.digest import CHUNK, IN_PARTS, multipart_etag, plain_md5
from trainyard.domain.training import Credentials, StoreRef
from trainyard.stores.base import Entry, SigningKeys, Why, check_key, put_parts
from trainyard.stores.listing import ListingCheck
from trainyard.stores.network.call import can_be_given_up
from trainyard.stores.network.limits import NetworkLimits
from trainyard.stores.refusals import place_of
from trainyard.stores.s3.endpoint import client_config, region_of, style_of
from trainyard.stores.s3.http import S3Http
from trainyard.stores.s3.pages import Page, Pages, Place, asked_for, follow, page_of, seconds_of
from trainyard.stores.s3.parts import S3Parts, is_secret
from trainyard.stores.s3.refusals import S3Refusals
from trainyard.stores.s3.sessions import new_session, signing_keys
from trainyard.stores.s3.small import SMALL, SmallObjects, bucket_of

# For what no listing has reported the size of: whoever it is written to refuses too much.
_ANY_SIZE = 2**63


class S3Store:
    """One S3 bucket. Safe to use from many threads; the clients are made at the first use."""

    ranged = True

    def __init__(
        self,
        ref: StoreRef,
        credentials: Credentials | SigningKeys,
        threads: int = 8,
        addressing: str = "auto",
        ca_bundle: str = "",
        limits: NetworkLimits | None = None,
    ) -> None:
        self.place = place_of(ref)
        self._ref = ref
        self._limits = limits or NetworkLimits()
        self._refusals = S3Refusals(self.place, self._limits, ref.connection)
        self._keys = signing_keys(credentials)
        self._region = ref.region or region_of(ref.endpoint)
        self._virtual = style_of(ref.endpoint, addressing) == "virtual"
        self._config = client_config(ref.endpoint, threads, addressing)
        self._ca_bundle = ca_bundle
        self._making = Lock()

    def list(self, prefix: str = "", after: str = "") -> Iterator[Entry]:
        check = ListingCheck(self._limits, self.place)

        def get(place: Place) -> Page:
            with self._refusals.during("list") as call:
                page = self._pages.get(prefix, place) or self._page(prefix, place)
            check.waited(call.waited)
            return page

        return follow(get, check, after)

    def get(self, key: str, into: BinaryIO) -> Entry:
        check_key(key)
        with self._refusals.during("read from", key, size=_ANY_SIZE):
            answer = self._client.get_object(Bucket=self._ref.bucket, Key=key)
            with closing(answer["Body"]) as body:
                self._expect_size(answer, answer.get("ContentLength"), key)
                for chunk in body.iter_chunks(CHUNK):
                    into.write(chunk)
            return _entry(key, answer["ContentLength"], answer)

    def read(self, listed: Entry, start: int, size: int, into: BinaryIO) -> Entry:
        key, whole = check_key(listed.key), size == listed.size
        if whole and size <= SMALL and self._by_obstore and (data := self._small.get(key, listed.etag)) is not None:
            into.write(data)
            return Entry(key, size, listed.etag)  # its digest was compared
        wanted = {} if whole else {"Range": f"bytes={start}-{start + size - 1}"}
        unchanged = {"IfMatch": f'"{listed.etag}"'} if listed.etag else {}
        with self._refusals.during("read from", key, size=size):
            answer = self._client.get_object(Bucket=self._ref.bucket, Key=key, **wanted, **unchanged)
            with closing(answer["Body"]) as body:
                self._expect(answer, listed)
                if whole:
                    self._expect_size(answer, size, key)
                else:
                    self._expect_part(answer, start, size, key)
                for chunk in body.iter_chunks(CHUNK):
                    into.write(chunk)
            total = answer["ContentLength"] if whole else int(answer["ContentRange"].rpartition("/")[2])
            return _entry(key, total, answer)

    def put(self, key: str, source: BinaryIO, size: int) -> Entry:
        check_key(key)
        source.seek(0)
        if size > IN_PARTS:
            return put_parts(self._in_parts(key, size, resume=False), source, size)
        if size <= SMALL:
            return self._put_small(key, source.read(size))
        with self._refusals.during("write to", key, moving=True):
            answer = self._client.put_object(Bucket=self._ref.bucket, Key=key, Body=source, ContentLength=size)
            return _entry(key, size, answer)

    def in_parts(self, key: str, size: int, resume: bool) -> S3Parts | None:
        check_key(key)
        return self._in_parts(key, size, resume) if size > IN_PARTS else None

    def etag_in_parts(self, source: BinaryIO, size: int) -> str | None:
        return multipart_etag(source, size)

    def delete(self, key: str) -> None:
        check_key(key)
        with self._refusals.during("delete from", key):
            self._client.delete_object(Bucket=self._ref.bucket, Key=key)

    @property
    def _by_obstore(self) -> bool:
        # It resolves names, follows redirects and reads answers of any size by itself, and nothing ends what it is at.
        return self._limits.addresses.is_trusted(self._ref.endpoint) and not can_be_given_up()

    @property
    def _client(self) -> Any:
        with self._making:
            return self._made_client

    @cached_property
    def _made_client(self) -> Any:
        client = new_session(self._keys).client(
            "s3",
            endpoint_url=self._ref.endpoint,
            region_name=self._region,
            verify=self._ca_bundle or None,
            config=self._config,
        )
        return self._http.of(client)

    @cached_property
    def _http(self) -> S3Http:
        return S3Http(self._ref.endpoint, self._config, self._ca_bundle)

    @cached_property
    def _pages(self) -> Pages:
        return Pages(self._client, self._http, self._ref.bucket)

    @property
    def _small(self) -> SmallObjects:
        with self._making:
            return self._made_small

    @cached_property
    def _made_small(self) -> SmallObjects:
        return SmallObjects(bucket_of(self._ref, self._keys, self._region, self._virtual, self._ca_bundle))

    def _expect(self, answer: dict[str, Any], listed: Entry) -> None:
        # Some servers do not look at IfMatch.
        if listed.differs(_entry(listed.key, listed.size, answer)):
            raise self._refusals.because(Why.CHANGED, "read from", listed.key)

    def _expect_size(self, answer: dict[str, Any], size: int | None, key: str) -> None:
        if size is None or answer.get("ContentLength") != size:
            raise self._refusals.because(Why.BROKEN, "read from", key, "it does not have the size that was listed")

    def _expect_part(self, answer: dict[str, Any], start: int, size: int, key: str) -> None:
        # Some servers answer with the whole object: written in the place of a part it would spoil the others.
        part = f"bytes {start}-{start + size - 1}/"
        if answer.get("ContentLength") != size or not answer.get("ContentRange", "").startswith(part):
            detail = "it does not answer with the part that was asked for"
            raise self._refusals.because(Why.BROKEN, "read from", key, detail)

    def _page(self, prefix: str, place: Place) -> Page:
        operation, asked = asked_for(self._ref.bucket, prefix, place)
        page = getattr(self._client, operation)(**asked)
        if not page.keys() & {"Name", "IsTruncated"}:
            raise self._refusals.no_s3(Why.NO_BUCKET, "list")  # a well-formed web page passes as an empty answer
        return page_of(page)

    def _in_parts(self, key: str, size: int, resume: bool) -> S3Parts:
        parts = S3Parts(self._client, self._ref.bucket, key, size, self._refusals)
        parts.begin(resume)
        return parts

    def _put_small(self, key: str, data: bytes) -> Entry:
        etag = self._small.put(key, data) if self._by_obstore else None
        if etag is not None:
            return Entry(key, len(data), etag, etag)
        with self._refusals.during("write to", key, moving=True):
            answer = self._client.put_object(Bucket=self._ref.bucket, Key=key, Body=data)
            return _entry(key, len(data), answer)


def _entry(key: str, size: int, answer: dict[str, Any]) -> Entry:
    etag = answer.get("ETag", "").strip('"')
    modified = None if etag else seconds_of(answer.get("LastModified"))
    return Entry(key, size, etag, None if is_secret(answer) else plain_md5(etag), modified)
