"""A file that S3 is given in parts."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from typing import Any

from trainyard.domain.digest import md5, part_size, plain_md5
from trainyard.stores.base import Entry, StoreError, Why
from trainyard.stores.s3.refusals import S3Refusals

# An upload has at most 10,000 parts, and every server reports more than 20 at a time.
_MAX_PAGES = 500


class S3Parts:
    """One multipart upload. S3 counts parts from 1, the port from 0."""

    def __init__(self, client: Any, bucket: str, key: str, size: int, refusals: S3Refusals) -> None:
        self.part, self.stored = part_size(size), dict[int, str]()
        self._client, self._refusals = client, refusals
        self._size = size
        self._target = {"Bucket": bucket, "Key": key}
        self._etags: dict[int, str] = {}

    def begin(self, resume: bool) -> None:
        """Take up the latest upload of the key and abort the others, or create one."""
        with self._refusals.during("write to", self._key):
            found = self._left_over() if resume else []
            for upload in found[:-1]:
                self._client.abort_multipart_upload(**self._target, UploadId=upload)
            if found and self._take_up(found[-1]):
                return
            self._target["UploadId"] = self._client.create_multipart_upload(**self._target)["UploadId"]

    def put(self, number: int, data: bytes | bytearray) -> None:
        digest = md5(data).hexdigest()
        try:
            with self._refusals.during("write to", self._key, moving=True):
                answer = self._client.upload_part(**self._target, PartNumber=number + 1, Body=data)
        except StoreError:
            # A server that has forgotten the upload says so and hangs up, which a client that still sends cannot hear.
            self._check_known()
            raise
        # Where a store reports no etag of a part, it knows the part by the one that S3 would have given.
        etag = answer.get("ETag", "").strip('"') or digest
        if not is_secret(answer) and plain_md5(etag) not in (None, digest):
            raise self._refusals.because(Why.BROKEN, "write to", self._key, f"part {number + 1} arrived changed")
        self._etags[number] = etag

    def finish(self) -> Entry:
        parts = [{"PartNumber": number + 1, "ETag": f'"{etag}"'} for number, etag in sorted(self._etags.items())]
        with self._refusals.during("write to", self._key):
            answer = self._client.complete_multipart_upload(**self._target, MultipartUpload={"Parts": parts})
        # No digest of the whole: some servers answer `md5-parts` here and list a plain MD5.
        return Entry(self._key, self._size, answer.get("ETag", "").strip('"'))

    def abort(self) -> None:
        with self._refusals.during("write to", self._key):
            self._client.abort_multipart_upload(**self._target)

    def _check_known(self) -> None:
        try:
            with self._refusals.during("write to", self._key):
                self._client.list_parts(**self._target, MaxParts=1)
        except StoreError as error:
            if error.why is Why.NO_UPLOAD:
                raise

    @property
    def _key(self) -> str:
        return self._target["Key"]

    def _left_over(self) -> list[str]:
        """Return the ids of uploads of this key, oldest first; none where the store does not report them."""
        with suppress(StoreError), self._refusals.during("write to", self._key):
            answer = self._client.list_multipart_uploads(Bucket=self._target["Bucket"], Prefix=self._key)
            found = [one for one in answer.get("Uploads", ()) if one["Key"] == self._key]
            return [one["UploadId"] for one in sorted(found, key=lambda one: str(one.get("Initiated", "")))]
        return []

    def _take_up(self, upload: str) -> bool:
        stored: dict[int, str] = {}
        with suppress(StoreError), self._refusals.during("write to", self._key):
            pages = self._client.get_paginator("list_parts").paginate(**self._target, UploadId=upload)
            for page in islice(pages, _MAX_PAGES):
                for part in page.get("Parts", ()):
                    if part.get("ETag") and part["Size"] == self._size_of(part["PartNumber"] - 1):
                        stored[part["PartNumber"] - 1] = part["ETag"].strip('"')
            self.stored, self._etags = stored, dict(stored)
            self._target["UploadId"] = upload
            return True
        return False

    def _size_of(self, number: int) -> int:
        return min(self.part, self._size - number * self.part)


def is_secret(answer: Mapping[str, Any]) -> bool:
    # With a key of KMS or of the customer the etag looks like an MD5 and is none.
    return answer.get("ServerSideEncryption") not in (None, "AES256") or "SSECustomerAlgorithm" in answer
