"""S3 with boto3: AWS's own and every other endpoint that speaks it."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cached_property
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import boto3.session
from botocore import exceptions as boto
from botocore.config import Config
from botocore.parsers import ResponseParserError

from trainyard.domain.training import Credentials, StoreRef
from trainyard.stores.base import Entry, StoreError, Why, check_key
from trainyard.stores.digest import CHUNK, MIB, md5_of, part_size, plain_md5
from trainyard.stores.refusals import place_of, refusal

MULTIPART = 64 * MIB
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
    "AccessDenied": Why.FORBIDDEN,
    "AllAccessDisabled": Why.FORBIDDEN,
    "KeyTooLongError": Why.BAD_KEY,
    "InvalidObjectName": Why.BAD_KEY,
}
_ELSEWHERE = ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException")
_STATUSES = {301: Why.NO_BUCKET, 401: Why.CREDENTIALS, 403: Why.FORBIDDEN, 405: Why.FORBIDDEN}
_NOT_REACHED = (boto.EndpointConnectionError, boto.ConnectTimeoutError, boto.SSLError, boto.ProxyConnectionError)


class S3Store:
    """One S3 bucket. Safe to use from many threads; the client is made at the first use."""

    def __init__(
        self, ref: StoreRef, credentials: Credentials, threads: int = 8, addressing: str = "auto", ca_bundle: str = ""
    ) -> None:
        self.place = place_of(ref.bucket, ref.endpoint)
        self._ref = ref
        self._credentials = credentials
        self._config = client_config(ref.endpoint, threads, addressing)
        self._ca_bundle = ca_bundle

    def list(self, prefix: str = "") -> Iterator[Entry]:
        with self._refusals("list"):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._ref.bucket, Prefix=prefix)
            for page in pages:
                if not page.keys() & {"Name", "IsTruncated"}:
                    raise self._no_s3(Why.NO_BUCKET, "list")  # a well-formed web page passes as an empty answer
                for item in page.get("Contents", ()):
                    if not (item["Key"].endswith("/") and item["Size"] == 0):
                        etag = item["ETag"].strip('"')
                        yield Entry(item["Key"], item["Size"], etag, plain_md5(etag))

    def get(self, key: str, into: BinaryIO) -> Entry:
        check_key(key)
        with self._refusals("read from", key):
            answer = self._client.get_object(Bucket=self._ref.bucket, Key=key)
            with closing(answer["Body"]) as body:
                for chunk in body.iter_chunks(CHUNK):
                    into.write(chunk)
            return _entry(key, answer["ContentLength"], answer)

    def put(self, key: str, source: BinaryIO, size: int) -> Entry:
        check_key(key)
        with self._refusals("write to", key):
            if size > MULTIPART:
                return self._put_parts(key, source, size)
            answer = self._client.put_object(Bucket=self._ref.bucket, Key=key, Body=source, ContentLength=size)
            return _entry(key, size, answer)

    def delete(self, key: str) -> None:
        check_key(key)
        with self._refusals("delete from", key):
            self._client.delete_object(Bucket=self._ref.bucket, Key=key)

    @cached_property
    def _client(self) -> Any:
        # A session of its own: the default one is shared by the process and is not safe to create clients from.
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self._ref.endpoint,
            region_name=self._ref.region or region_of(self._ref.endpoint),
            aws_access_key_id=self._credentials.user,
            aws_secret_access_key=self._credentials.secret,
            verify=self._ca_bundle or None,
            config=self._config,
        )

    def _put_parts(self, key: str, source: BinaryIO, size: int) -> Entry:
        target = {"Bucket": self._ref.bucket, "Key": key}
        target["UploadId"] = self._client.create_multipart_upload(**target)["UploadId"]
        try:
            count = math.ceil(size / part_size(size))
            parts = [self._put_part(target, source, size, number) for number in range(1, count + 1)]
            answer = self._client.complete_multipart_upload(**target, MultipartUpload={"Parts": parts})
        except BaseException:
            self._client.abort_multipart_upload(**target)
            raise
        # No digest of the whole: some servers answer `md5-parts` here and list a plain MD5.
        return Entry(key, size, answer["ETag"].strip('"'))

    def _put_part(self, target: dict[str, Any], source: BinaryIO, size: int, number: int) -> dict[str, Any]:
        part = source.read(min(part_size(size), size - source.tell()))
        answer = self._client.upload_part(**target, PartNumber=number, Body=part)
        entry = _entry(target["Key"], len(part), answer)
        if entry.md5 not in (None, md5_of(io.BytesIO(part))):
            raise refusal(Why.BROKEN, self.place, "write to", target["Key"], f"part {number} arrived changed")
        return {"PartNumber": number, "ETag": answer["ETag"]}

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
    style = ("virtual" if aws else "path") if addressing == "auto" else addressing
    return Config(
        signature_version="s3v4",
        s3={"addressing_style": style},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        max_pool_connections=max(threads, 1),
        **checksums,
    )


_CHECKSUMS = ("request_checksum_calculation", "response_checksum_validation")


def is_aws(endpoint: str) -> bool:
    return re.search(r"\.amazonaws\.com(\.cn)?$", urlsplit(endpoint).hostname or "") is not None


def region_of(endpoint: str) -> str:
    """Return the region that an AWS endpoint names; us-east-1, which others accept or ignore, for all else."""
    host = (urlsplit(endpoint).hostname or "") if is_aws(endpoint) else ""
    named = re.match(r"s3[.-](?:dualstack\.)?([a-z0-9-]+)\.amazonaws", host)
    return named[1] if named else "us-east-1"


def _entry(key: str, size: int, answer: dict[str, Any]) -> Entry:
    # With a key of KMS or of the customer the etag looks like an MD5 and is none.
    secret = answer.get("ServerSideEncryption") not in (None, "AES256") or "SSECustomerAlgorithm" in answer
    etag = answer["ETag"].strip('"')
    return Entry(key, size, etag, None if secret else plain_md5(etag))
