"""S3 with boto3: AWS's own and every other endpoint that speaks it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from threading import Lock
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import boto3.session
from botocore import exceptions as boto
from botocore.config import Config
from botocore.parsers import ResponseParserError

from trainyard.domain.training import Credentials, StoreRef
from trainyard.stores.base import Entry, StoreError, Why, check_key
from trainyard.stores.digest import CHUNK, IN_PARTS, plain_md5
from trainyard.stores.refusals import place_of, refusal
from trainyard.stores.s3pages import Pages, entry_of
from trainyard.stores.s3parts import S3Parts, is_secret
from trainyard.stores.s3small import SMALL, SmallObjects

CONNECT_SECONDS = 4
READ_SECONDS = 60
ATTEMPTS = 3

_CODES = {
    "InvalidAccessKeyId": Why.CREDENTIALS,
    "SignatureDoesNotMatch": Why.CREDENTIALS,
    "InvalidToken": Why.CREDENTIALS,
    "ExpiredToken": Why.CREDENTIALS,
    "InvalidSecurity": Why.CREDENTIALS,
    "NoSuchBucket": Why.NO_BUCKET,
    "InvalidBucketName": Why.NO_BUCKET,
    "PermanentRedirect": Why.NO_BUCKET,
    "AuthorizationHeaderMalformed": Why.CREDENTIALS,
    "NoSuchKey": Why.NO_KEY,
    "NoSuchUpload": Why.NO_UPLOAD,
    "AccessDenied": Why.FORBIDDEN,
    "AllAccessDisabled": Why.FORBIDDEN,
    "KeyTooLongError": Why.BAD_KEY,
    "InvalidObjectName": Why.BAD_KEY,
}
_ELSEWHERE = ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException")
_STATUSES = {412: Why.CHANGED, 301: Why.NO_BUCKET, 401: Why.CREDENTIALS, 403: Why.FORBIDDEN, 405: Why.FORBIDDEN}
_NOT_REACHED = (boto.EndpointConnectionError, boto.ConnectTimeoutError, boto.SSLError, boto.ProxyConnectionError)


class S3Store:
    """One S3 bucket. Safe to use from many threads; the clients are made at the first use."""

    ranged = True

    def __init__(
        self, ref: StoreRef, credentials: Credentials, threads: int = 8, addressing: str = "auto", ca_bundle: str = ""
    ) -> None:
        self.place = place_of(ref.bucket, ref.endpoint)
        self._ref = ref
        self._credentials = credentials
        self._region = ref.region or region_of(ref.endpoint)
        self._virtual = style_of(ref.endpoint, addressing) == "virtual"
        self._config = client_config(ref.endpoint, threads, addressing)
        self._ca_bundle = ca_bundle
        self._making = Lock()

    def list(self, prefix: str = "") -> Iterator[Entry]:
        token = ""
        while True:
            with self._refusals("list"):
                entries, token = self._pages.get(prefix, token) or self._page(prefix, token)
            yield from entries
            if not token:
                return

    def get(self, key: str, into: BinaryIO) -> Entry:
        check_key(key)
        with self._refusals("read from", key):
            answer = self._client.get_object(Bucket=self._ref.bucket, Key=key)
            with closing(answer["Body"]) as body:
                for chunk in body.iter_chunks(CHUNK):
                    into.write(chunk)
            return _entry(key, answer["ContentLength"], answer)

    def read(self, listed: Entry, start: int, size: int, into: BinaryIO) -> Entry:
        key, whole = check_key(listed.key), size == listed.size
        if whole and size <= SMALL and (data := self._small.get(key, listed.etag)) is not None:
            into.write(data)
            return replace(listed, md5=None)  # its digest was compared
        wanted = {} if whole else {"Range": f"bytes={start}-{start + size - 1}"}
        unchanged = {"IfMatch": f'"{listed.etag}"'} if listed.etag else {}
        with self._refusals("read from", key):
            answer = self._client.get_object(Bucket=self._ref.bucket, Key=key, **wanted, **unchanged)
            with closing(answer["Body"]) as body:
                if not whole:
                    self._expect_part(answer, start, size, key)
                for chunk in body.iter_chunks(CHUNK):
                    into.write(chunk)
            total = answer["ContentLength"] if whole else int(answer["ContentRange"].rpartition("/")[2])
            return _entry(key, total, answer)

    def put(self, key: str, source: BinaryIO, size: int) -> Entry:
        check_key(key)
        source.seek(0)
        if size > IN_PARTS:
            return self._put_parts(key, source, size)
        if size <= SMALL:
            return self._put_small(key, source.read(size))
        with self._refusals("write to", key):
            answer = self._client.put_object(Bucket=self._ref.bucket, Key=key, Body=source, ContentLength=size)
            return _entry(key, size, answer)

    def in_parts(self, key: str, size: int, resume: bool) -> S3Parts | None:
        check_key(key)
        if size <= IN_PARTS:
            return None
        parts = S3Parts(self._client, self._ref.bucket, key, size, self.place, self._refusals)
        parts.begin(resume)
        return parts

    def delete(self, key: str) -> None:
        check_key(key)
        with self._refusals("delete from", key):
            self._client.delete_object(Bucket=self._ref.bucket, Key=key)

    @property
    def _client(self) -> Any:
        with self._making:
            return self._made_client

    @cached_property
    def _made_client(self) -> Any:
        # A session of its own: the default one is shared by the process and is not safe to create clients from.
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self._ref.endpoint,
            region_name=self._region,
            aws_access_key_id=self._credentials.user,
            aws_secret_access_key=self._credentials.secret,
            verify=self._ca_bundle or None,
            config=self._config,
        )

    @cached_property
    def _pages(self) -> Pages:
        return Pages(self._client, self._ref.bucket, self._ca_bundle)

    @property
    def _small(self) -> SmallObjects:
        with self._making:
            return self._made_small

    @cached_property
    def _made_small(self) -> SmallObjects:
        return SmallObjects(self._ref, self._credentials, self._region, self._virtual, self._ca_bundle)

    def _expect_part(self, answer: dict[str, Any], start: int, size: int, key: str) -> None:
        # Some servers answer with the whole object: written in the place of a part it would spoil the others.
        part = f"bytes {start}-{start + size - 1}/"
        if answer["ContentLength"] != size or not answer.get("ContentRange", "").startswith(part):
            raise refusal(
                Why.BROKEN, self.place, "read from", key, "it does not answer with the part that was asked for"
            )

    def _page(self, prefix: str, token: str) -> tuple[Sequence[Entry], str]:
        asked = {"Bucket": self._ref.bucket, "Prefix": prefix, **({"ContinuationToken": token} if token else {})}
        page = self._client.list_objects_v2(**asked)
        if not page.keys() & {"Name", "IsTruncated"}:
            raise self._no_s3(Why.NO_BUCKET, "list")  # a well-formed web page passes as an empty answer
        found = (entry_of(item["Key"], item["Size"], item["ETag"]) for item in page.get("Contents", ()))
        return [entry for entry in found if entry], page.get("NextContinuationToken", "")

    def _put_small(self, key: str, data: bytes) -> Entry:
        etag = self._small.put(key, data)
        if etag is not None:
            return Entry(key, len(data), etag, etag)
        with self._refusals("write to", key):
            answer = self._client.put_object(Bucket=self._ref.bucket, Key=key, Body=data)
            return _entry(key, len(data), answer)

    def _put_parts(self, key: str, source: BinaryIO, size: int) -> Entry:
        parts = self.in_parts(key, size, resume=False)
        assert parts is not None, "what is put in parts is larger than a part"
        try:
            for number in range(-(-size // parts.part)):
                parts.put(number, source.read(min(parts.part, size - number * parts.part)))
            return parts.finish()
        except BaseException:
            with suppress(StoreError):
                parts.abort()
            raise

    @contextmanager
    def _refusals(self, doing: str, key: str = "") -> Iterator[None]:
        try:
            yield
        except boto.ClientError as error:
            raise self._refusal(error, doing, key) from None
        except _NOT_REACHED as error:
            raise self._not_reached(error, doing) from None
        except ResponseParserError:
            raise self._no_s3(Why.NO_BUCKET, doing) from None
        except boto.ParamValidationError:
            raise refusal(Why.NO_BUCKET, self.place, doing, detail="no bucket can have this name") from None
        except (boto.BotoCoreError, ValueError) as error:
            raise refusal(Why.BROKEN, self.place, doing, key, type(error).__name__) from None

    def _refusal(self, error: boto.ClientError, doing: str, key: str) -> StoreError:
        code, headers = str(error.response["Error"].get("Code")), error.response["ResponseMetadata"]["HTTPHeaders"]
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        why = _CODES.get(code) or _STATUSES.get(status) or Why.BROKEN
        if status == 404 and code not in _CODES:
            why = Why.NO_KEY if key else Why.NO_BUCKET
        # The one-machine server is rclone, which answers 500 to every write that its folder refuses.
        if status == 500 and headers.get("x-served-by") == "rclone" and doing == "write to":
            cure = "Make the folder writable and see that the disk has room, or that no file has the name of a folder."
            return refusal(Why.FORBIDDEN, self.place, doing, key, "its folder refuses it", cure)
        if code == "500":
            # botocore makes this of an answer that is no XML: a web page, or a failing gateway before a real store.
            return self._no_s3(Why.BROKEN, doing)
        region = error.response["Error"].get("Region") or headers.get("x-amz-bucket-region")
        if code in _ELSEWHERE and region:
            cure = "Use that region's endpoint."
            return refusal(Why.NO_BUCKET, self.place, doing, detail=f"it is in region {region}", cure=cure)
        detail = f"{code} ({status})" if why not in (Why.NO_KEY, Why.NO_BUCKET) else ""
        return refusal(why, self.place, doing, key, detail)

    def _no_s3(self, why: Why, doing: str) -> StoreError:
        cure = "Check the endpoint: it must be the store's S3 endpoint, not a web page."
        return refusal(why, self.place, doing, detail="what answers there does not speak S3", cure=cure)

    def _not_reached(self, error: Exception, doing: str) -> StoreError:
        text = str(error)
        if isinstance(error, boto.ConnectTimeoutError):
            detail = f"no answer in {CONNECT_SECONDS} seconds"
        elif "CERTIFICATE_VERIFY_FAILED" in text:
            cure = "Let TRAINYARD_CA_BUNDLE name a file with the certificate of the authority that signed it."
            return refusal(Why.UNREACHABLE, self.place, doing, detail="its certificate is not trusted", cure=cure)
        elif isinstance(error, boto.SSLError):
            detail = "there is no TLS at the endpoint"
        else:
            detail = "no connection"
        return refusal(Why.UNREACHABLE, self.place, doing, detail=detail)


def client_config(endpoint: str, threads: int, addressing: str) -> Config:
    """Return how boto3 talks to this endpoint.

    `auto` addresses buckets as hosts at AWS and as paths everywhere else. Newer checksums are sent and checked at AWS
    only: other servers refuse them or answer them wrongly.
    """
    aws = is_aws(endpoint)
    checksums = {} if aws else dict.fromkeys(_CHECKSUMS, "when_required")
    return Config(
        signature_version="s3v4",
        s3={"addressing_style": style_of(endpoint, addressing)},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        max_pool_connections=max(threads, 1),
        **checksums,
    )


def style_of(endpoint: str, addressing: str) -> str:
    """Return `virtual` where the bucket is to be a host, `path` where it is to be the first part of the path."""
    if addressing != "auto":
        return addressing
    return "virtual" if is_aws(endpoint) else "path"


_CHECKSUMS = ("request_checksum_calculation", "response_checksum_validation")


def is_aws(endpoint: str) -> bool:
    return re.search(r"\.amazonaws\.com(\.cn)?$", urlsplit(endpoint).hostname or "") is not None


def region_of(endpoint: str) -> str:
    """Return the region that an AWS endpoint names; us-east-1, which others accept or ignore, for all else."""
    host = (urlsplit(endpoint).hostname or "") if is_aws(endpoint) else ""
    named = re.match(r"s3[.-](?:dualstack\.)?([a-z0-9-]+)\.amazonaws", host)
    return named[1] if named else "us-east-1"


def _entry(key: str, size: int, answer: dict[str, Any]) -> Entry:
    etag = answer["ETag"].strip('"')
    return Entry(key, size, etag, None if is_secret(answer) else plain_md5(etag))
