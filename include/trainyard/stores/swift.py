"""OpenStack Swift with python-swiftclient, signed in at Keystone v3."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, BinaryIO

import requests.exceptions as http
import swiftclient
from keystoneauth1 import exceptions as keystone
from keystoneauth1.identity.v3 import Password
from keystoneauth1.session import Session
from swiftclient.utils import LengthWrapper
from urllib3.exceptions import HTTPError

from trainyard.domain.training import Credentials, StoreRef
from trainyard.stores.base import Entry, StoreError, Why, check_key
from trainyard.stores.digest import CHUNK, MIB, plain_md5
from trainyard.stores.refusals import place_of, refusal

# Swift stores at most 5 GiB as one object.
SEGMENTED = 4096 * MIB
SEGMENT = 1024 * MIB
CONNECT_SECONDS = 4
READ_SECONDS = 60
RETRIES = 2

_EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"
_STATUSES = {401: Why.CREDENTIALS, 403: Why.FORBIDDEN, 404: Why.NO_BUCKET, 413: Why.FORBIDDEN}


class SwiftStore:
    """One Swift container. Safe to use from many threads; nothing is sent before the first use."""

    def __init__(self, ref: StoreRef, credentials: Credentials, ca_bundle: str = "") -> None:
        self.place = place_of(ref.bucket, ref.endpoint)
        self.segmented, self.segment = SEGMENTED, SEGMENT
        self._ref, self._credentials, self._ca_bundle = ref, credentials, ca_bundle
        self._threads = threading.local()

    def list(self, prefix: str = "") -> Iterator[Entry]:
        marker = ""
        with self._refusals("list"):
            while items := self._connection.get_container(self._ref.bucket, prefix=prefix, marker=marker)[1]:
                for item in items:
                    if not _stands_for_folder(item):
                        yield self._listed(item)
                marker = items[-1]["name"]

    def get(self, key: str, into: BinaryIO) -> Entry:
        check_key(key)
        with self._refusals("read from", key):
            headers, body = self._connection.get_object(self._ref.bucket, key, resp_chunk_size=CHUNK)
            size = 0
            for chunk in body:
                size += into.write(chunk)
        etag = headers["etag"].strip('"')
        return Entry(key, size, etag, None if _is_large(headers) else plain_md5(etag))

    def put(self, key: str, source: BinaryIO, size: int) -> Entry:
        check_key(key)
        with self._refusals("write to", key):
            if size > self.segmented:
                return self._put_segments(key, source, size)
            # swiftclient would send an empty file in chunks, without a length.
            contents = source if size else b""
            etag = self._connection.put_object(self._ref.bucket, key, contents, content_length=size)
            return Entry(key, size, etag, plain_md5(etag))

    def delete(self, key: str) -> None:
        check_key(key)
        try:
            with self._refusals("delete from", key):
                self._connection.delete_object(self._ref.bucket, key)
        except StoreError as error:
            if error.why is not Why.NO_KEY:
                raise

    @cached_property
    def _session(self) -> Session:
        # It logs every failed request, although all of them are raised and told.
        logging.getLogger("swiftclient").setLevel(logging.CRITICAL)
        auth = Password(
            auth_url=keystone_url(self._ref.endpoint),
            username=self._credentials.user,
            password=self._credentials.secret,
            user_domain_name=self._ref.domain,
            user_domain_id=None if self._ref.domain else "default",
            project_id=self._ref.project,
        )
        session = Session(auth=auth, verify=self._ca_bundle or True, timeout=READ_SECONDS)
        if not session.get_endpoint(service_type="object-store", interface="public", region_name=self._ref.region):
            raise keystone.EndpointNotFound
        return session

    @property
    def _connection(self) -> Any:
        # A connection is one thread's: it holds the request that it is at. The session, with the token, is shared.
        if not hasattr(self._threads, "connection"):
            self._threads.connection = swiftclient.Connection(
                session=self._session,
                os_options={"region_name": self._ref.region} if self._ref.region else {},
                auth_version="3",
                retries=RETRIES,
                starting_backoff=0.5,
                cacert=self._ca_bundle or None,
                timeout=(CONNECT_SECONDS, READ_SECONDS),
            )
        return self._threads.connection

    def _drop_connection(self) -> None:
        if hasattr(self._threads, "connection"):
            self._threads.connection.close()
            del self._threads.connection

    def _listed(self, item: dict[str, Any]) -> Entry:
        if item["bytes"] == 0 and item["hash"] == _EMPTY_MD5:
            # A dynamic large object is listed as if it were empty.
            headers = self._connection.head_object(self._ref.bucket, item["name"])
            if _is_large(headers):
                return Entry(item["name"], int(headers["content-length"]), headers["etag"].strip('"'))
        if "slo_etag" in item:
            return Entry(item["name"], item["bytes"], item["slo_etag"].strip('"'))
        return Entry(item["name"], item["bytes"], item["hash"], plain_md5(item["hash"]))

    def _put_segments(self, key: str, source: BinaryIO, size: int) -> Entry:
        container = f"{self._ref.bucket}_segments"
        self._connection.put_container(container)
        starts = range(0, size, self.segment)
        segments = [self._put_segment(container, key, source, size, start) for start in starts]
        etag = self._connection.put_object(
            self._ref.bucket, key, json.dumps(segments), query_string="multipart-manifest=put"
        )
        return Entry(key, size, etag.strip('"'))

    def _put_segment(self, container: str, key: str, source: BinaryIO, size: int, start: int) -> dict[str, Any]:
        name, length = f"{key}/{size}/{start // self.segment:08d}", min(self.segment, size - start)
        part = LengthWrapper(source, length, md5=True)
        etag = self._connection.put_object(container, name, part, content_length=length)
        if etag != part.get_md5sum():
            raise refusal(Why.BROKEN, self.place, "write to", key, f"segment {name} arrived changed")
        return {"path": f"/{container}/{name}", "etag": etag, "size_bytes": length}

    @contextmanager
    def _refusals(self, doing: str, key: str = "") -> Iterator[None]:
        try:
            yield
        except GeneratorExit:
            raise
        except BaseException as error:
            # Whatever it was, an answer may be half read, and the connection not fit for another request.
            self._drop_connection()
            known = self._refusal(error, doing, key)
            if known is None:
                raise
            raise known from None

    def _refusal(self, error: BaseException, doing: str, key: str) -> StoreError | None:
        if isinstance(error, swiftclient.ClientException):
            why = _STATUSES.get(error.http_status, Why.BROKEN)
            if error.http_status == 404 and key and self._has_container():
                return refusal(Why.NO_KEY, self.place, doing, key)
            return refusal(why, self.place, doing, key, "" if why is Why.NO_BUCKET else f"status {error.http_status}")
        if isinstance(error, keystone.ClientException):
            return self._keystone_refusal(error, doing)
        if isinstance(error, http.SSLError):
            return _not_trusted(self.place, doing)
        if isinstance(error, http.ConnectionError):
            return refusal(Why.UNREACHABLE, self.place, doing, detail="no connection to its object store")
        if isinstance(error, http.RequestException | HTTPError):
            return refusal(Why.BROKEN, self.place, doing, key, type(error).__name__)
        return None

    def _keystone_refusal(self, error: keystone.ClientException, doing: str) -> StoreError:
        if isinstance(error, keystone.Unauthorized):
            return refusal(Why.CREDENTIALS, self.place, doing)
        if isinstance(error, keystone.CatalogException):
            where = f"region {self._ref.region}" if self._ref.region else "this project"
            detail = f"there is no object store for {where}"
            return refusal(Why.NO_BUCKET, self.place, doing, detail=detail, cure="Check region and project.")
        if isinstance(error, keystone.SSLError):
            return _not_trusted(self.place, doing)
        if isinstance(error, keystone.ConnectionError):
            return refusal(Why.UNREACHABLE, self.place, doing, detail="no connection to Keystone")
        if isinstance(error, keystone.HttpServerError):
            return refusal(Why.BROKEN, self.place, doing, detail="Keystone fails")
        cure = "Check auth_url: it must be the address of a Keystone with its version 3 API."
        return refusal(Why.NO_BUCKET, self.place, doing, detail="no Keystone v3 answers there", cure=cure)

    def _has_container(self) -> bool:
        try:
            self._connection.head_container(self._ref.bucket)
        except swiftclient.ClientException:
            return False
        return True


def keystone_url(endpoint: str) -> str:
    """Return the address of the v3 API; manifests give it with and without the version."""
    base = endpoint.rstrip("/")
    return base if base.endswith("/v3") else f"{base}/v3"


def _not_trusted(place: str, doing: str) -> StoreError:
    cure = "Let TRAINYARD_CA_BUNDLE name a file with the certificate of the authority that signed it."
    return refusal(Why.UNREACHABLE, place, doing, detail="its certificate is not trusted", cure=cure)


def _stands_for_folder(item: dict[str, Any]) -> bool:
    marked = item.get("content_type", "").startswith("application/directory") or item["name"].endswith("/")
    return bool(marked and item["bytes"] == 0)


def _is_large(headers: dict[str, str]) -> bool:
    return "x-object-manifest" in headers or "x-static-large-object" in headers
