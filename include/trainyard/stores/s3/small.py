"""Small objects of S3, whole, by obstore: a request costs boto3 five times the processor time, and Python's lock."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit, urlunsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store as Bucket

from trainyard.domain.digest import MIB, md5, plain_md5
from trainyard.domain.training import StoreRef
from trainyard.stores.base import SigningKeys

SMALL = MIB
_CONNECT, _WHOLE = timedelta(seconds=4), timedelta(seconds=20)
# Where a store is down, or does not suit obstore, asking twice for everything would be slower than boto3 alone.
_REST_SECONDS = 30.0
# botocore renews what ends within 10 minutes before it gives it out.
_ASKED_AGAIN = timedelta(minutes=8)
# A missing object or bucket is a FileNotFoundError, an impossible key a ValueError.
_REFUSALS = (BaseError, OSError, ValueError)


class SmallObjects:
    """Gets and puts what it can prove to be right by its MD5; anything else is boto3's, which knows what is wrong."""

    # obstore's threads stay behind in a fork, and whoever waits for them there waits for ever.
    _process: ClassVar[int | None] = None

    def __init__(self, bucket: Bucket) -> None:
        self._bucket: Any = bucket
        self._rests_until = 0.0

    def get(self, key: str, etag: str) -> bytes | None:
        """Return the object if it is the one with this etag, an MD5."""
        if self._rests or plain_md5(etag) is None:
            return None
        try:
            data = bytes(obstore.get(self._bucket, key).bytes())
        except _REFUSALS:
            self._rest()
            return None
        return data if md5(data).hexdigest() == etag else None

    def put(self, key: str, data: bytes) -> str | None:
        """Store the object and return its etag if that is its MD5."""
        if self._rests:
            return None
        try:
            answer = obstore.put(self._bucket, key, data, use_multipart=False)
        except _REFUSALS:
            self._rest()
            return None
        etag = (answer["e_tag"] or "").strip('"')
        return etag if etag == md5(data).hexdigest() else None

    @property
    def _rests(self) -> bool:
        SmallObjects._process = SmallObjects._process or os.getpid()
        return SmallObjects._process != os.getpid() or time.monotonic() < self._rests_until

    def _rest(self) -> None:
        self._rests_until = time.monotonic() + _REST_SECONDS


def bucket_of(ref: StoreRef, keys: SigningKeys, region: str, virtual: bool, ca_bundle: str = "") -> Bucket:
    """Return a bucket as obstore has it; `virtual` is one whose name stands before the endpoint's host."""
    options: Any = {"allow_http": True, "connect_timeout": _CONNECT, "timeout": _WHOLE}
    if ca_bundle:
        options["root_certificate"] = Path(ca_bundle).read_bytes()
    return Bucket(
        ref.bucket,
        endpoint=_host_of(ref) if virtual else ref.endpoint,
        credential_provider=partial(_current, keys),
        region=region,
        virtual_hosted_style_request=virtual,
        client_options=options,
        retry_config={"max_retries": 2, "retry_timeout": _WHOLE},
    )


def _current(keys: SigningKeys) -> Any:
    """Return keys for obstore, which asks again before those of a role have ended."""
    now = keys.get_frozen_credentials()
    until = datetime.now(UTC) + _ASKED_AGAIN
    named = {"access_key_id": now.access_key, "secret_access_key": now.secret_key, "expires_at": until}
    return {**named, "token": now.token} if now.token else named


def _host_of(ref: StoreRef) -> str:
    """Return the endpoint with the bucket as a host: obstore leaves that to its caller."""
    url = urlsplit(ref.endpoint)
    return urlunsplit(url._replace(netloc=f"{ref.bucket}.{url.netloc}"))
