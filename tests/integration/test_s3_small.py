"""Small S3 objects move by another library than all else: what it cannot do, or prove right, is done as before."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest
from faultproxy import Asked, Fault, FaultProxy
from storeservers import KEY, SECRET, Bucket

from trainyard.domain.training import Credentials, StoreRef
from trainyard.stores.base import Store, StoreError, Why
from trainyard.stores.s3.sessions import signing_keys
from trainyard.stores.s3.small import SmallObjects, bucket_of

NO_DIGEST = f'"{"0" * 32}"'


def through(proxy: FaultProxy, bucket: Bucket) -> Store:
    return bucket.open(replace(bucket.ref, endpoint=proxy.url))


def first(fault: Fault, method: str) -> Callable[[Asked], Fault | None]:
    return lambda asked: fault if (asked.method, asked.number) == (method, 1) else None


def test_a_stored_object_whose_etag_is_no_digest_of_it_is_stored_by_the_other_way(s3: Bucket) -> None:
    with FaultProxy(s3.ref.endpoint, first(Fault(200, b"", NO_DIGEST), "PUT")) as proxy:
        entry = through(proxy, s3).put("a", io.BytesIO(b"content"), 7)
    assert entry.md5 == hashlib.md5(b"content").hexdigest()
    assert list(s3.open().list()) == [entry]


def test_an_object_that_arrives_changed_is_read_by_the_other_way(s3: Bucket) -> None:
    s3.open().put("a", io.BytesIO(b"content"), 7)
    (listed,) = s3.open().list()
    into = io.BytesIO()
    changed = Fault(200, b"CONTENT", f'"{listed.etag}"')
    with FaultProxy(s3.ref.endpoint, first(changed, "GET")) as proxy:
        through(proxy, s3).read(listed, 0, 7, into)
    assert into.getvalue() == b"content"


def test_a_store_that_fails_is_not_asked_in_two_ways_for_everything(s3: Bucket) -> None:
    s3.open().put("a", io.BytesIO(b"content"), 7)
    (listed,) = s3.open().list()
    asked: list[int] = []
    with FaultProxy(s3.ref.endpoint, lambda _: Fault(503)) as proxy:
        store = through(proxy, s3)
        for _ in range(2):
            before = len(proxy.asked)
            with pytest.raises(StoreError) as caught:
                store.read(listed, 0, 7, io.BytesIO())
            asked.append(len(proxy.asked) - before)
    assert caught.value.why is Why.BROKEN
    assert asked[0] > asked[1] > 0


def test_a_process_that_was_forked_after_it_was_used_reads_as_before(s3: Bucket) -> None:
    s3.open().put("a", io.BytesIO(b"content"), 7)
    program = f"""
import io, os
from trainyard.domain.training import Credentials, StoreRef
from trainyard.domain.addresses import ANYWHERE
from trainyard.stores.network.limits import NetworkLimits
from trainyard.stores.s3.adapter import S3Store
def read():
    store = S3Store({s3.ref!r}, Credentials({KEY!r}, {SECRET!r}), limits=NetworkLimits(ANYWHERE))
    (listed,) = store.list()
    into = io.BytesIO()
    store.read(listed, 0, 7, into)
    assert into.getvalue() == b"content"
read()
child = os.fork()
if child == 0:
    read()
    os._exit(0)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=240)


@pytest.mark.parametrize(
    ("virtual", "host"), [(True, "digits.s3.eu-de.example.com:9000"), (False, "s3.eu-de.example.com:9000")]
)
def test_a_bucket_that_is_a_host_is_named_before_the_endpoint(virtual: bool, host: str) -> None:
    ref = StoreRef("s3", "digits", "https://s3.eu-de.example.com:9000")
    bucket = bucket_of(ref, signing_keys(Credentials("a", "b")), "eu-de", virtual)
    assert bucket.config["endpoint"] == f"https://{host}"


def test_the_secret_is_in_no_representation() -> None:
    ref = StoreRef("s3", "digits", "http://127.0.0.1:1")
    bucket = bucket_of(ref, signing_keys(Credentials("a", "hunter2")), "x", virtual=False)
    assert "hunter2" not in repr(bucket) + repr(SmallObjects(bucket))


def test_a_page_that_cannot_be_read_is_asked_for_by_boto3(s3: Bucket) -> None:
    s3.open().put("sp ace+plus%2F", io.BytesIO(b"content"), 7)

    def garbled(asked: Asked) -> Fault | None:
        return Fault(200, b"<ListBucketResult><Contents><Key>half") if "X-Amz-Signature" in asked.query else None

    with FaultProxy(s3.ref.endpoint, garbled) as proxy:
        assert list(through(proxy, s3).list()) == list(s3.open().list())
        assert [("X-Amz-Signature" in asked.query) for asked in proxy.asked] == [True, False]
