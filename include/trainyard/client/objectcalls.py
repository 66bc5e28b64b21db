"""What the REST interface does with the objects in stores that people keep."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from trainyard.answers.service import ObjectPage, StoredObject
from trainyard.client.calls import Calls, of_account
from trainyard.client.errors import WrongUsageError

_NAMES = "Name a place as BUCKET, BUCKET/PREFIX or STORE/BUCKET/PREFIX."


class ObjectCalls(Calls):
    """The calls; every one raises TrainyardError."""

    def objects(self, store: str, bucket: str, prefix: str = "", account: str | None = None) -> Iterator[StoredObject]:
        """Yield the objects of a bucket below a prefix in the order of their keys, however many pages it takes."""
        asked: dict[str, Any] = {**of_account(account), **({"prefix": prefix} if prefix else {})}
        while True:
            page = self._session.ask(ObjectPage, "GET", _bucket(store, bucket), params=asked)
            yield from page.resources
            if not page.continuation or not page.resources:
                return
            asked["continuation"] = page.continuation

    def put(
        self,
        store: str,
        bucket: str,
        key: str,
        content: Iterable[bytes],
        size: int,
        md5: bytes,
        account: str | None = None,
    ) -> StoredObject:
        """Store an object, whole or not at all. `content` is gone through again where a request is sent again."""
        headers = {
            "Content-Length": str(size),
            "Content-Type": "application/octet-stream",
            "Content-MD5": base64.b64encode(md5).decode(),
        }
        place = f"{_bucket(store, bucket)}/{quote(key, safe='')}"
        given = {"content": content, "headers": headers, "params": of_account(account)}
        return self._session.ask(StoredObject, "PUT", place, **given)

    def remove(self, store: str, bucket: str, key: str, account: str | None = None) -> None:
        """Remove an object; one that is not there is fine."""
        self._remove(f"{_bucket(store, bucket)}/{quote(key, safe='')}", params=of_account(account))


def _bucket(store: str, bucket: str) -> str:
    for name, what in ((store, "store"), (bucket, "bucket")):
        if not name.strip("./ "):
            raise WrongUsageError(f"{name!r} cannot be the name of a {what}", _NAMES)
    return f"/v3/stores/{quote(store, safe='')}/objects/{quote(bucket, safe='')}"
