"""What goes wrong between Swift and folder: folder or container are right, or the error is clear."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from faultproxy import Asked, Fault, FaultProxy
from killable import digests, digests_in, quiet, sources
from storeservers import Bucket, end_tokens, in_region_of, wait_for
from swiftcloud.cloud import PASSWORD
from swiftcloud.sharing import SwiftCloud
from wire import Wire

from trainyard.domain.digest import IN_PARTS, MIB, PART
from trainyard.stores.base import Entry, StoreError, Why
from trainyard.stores.moving import parallel, retrying
from trainyard.stores.moving.values import Terms
from trainyard.stores.transfer import Source, download, upload

LARGE = IN_PARTS + 5
IN_SEGMENTS = {"TRAINYARD_SWIFT_SEGMENT_BYTES": str(PART)}


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "FIRST_PAUSE", 0.2)
    monkeypatch.setattr(parallel, "LEAVING_SECONDS", 0.2)


@pytest.fixture
def bucket(swift: Bucket) -> Bucket:
    return replace(swift, options=IN_SEGMENTS)


@pytest.fixture
def proxy(swiftcloud: SwiftCloud) -> Iterator[FaultProxy]:
    with FaultProxy(swiftcloud.swift) as proxy:
        yield proxy


@pytest.fixture
def faulty(swiftcloud: SwiftCloud, bucket: Bucket, proxy: FaultProxy) -> Iterator[Bucket]:
    """The bucket in a region of its own, whose address is the proxy's."""
    with in_region_of(swiftcloud, bucket, proxy.url) as there:
        yield there


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target"


def everything() -> dict[str, bytes]:
    small = {f"smäll/{number:02d}": os.urandom(3000) for number in range(6)}
    return {**small, "large": os.urandom(LARGE), "middle": os.urandom(3 * MIB)}


def fill(bucket: Bucket, contents: dict[str, bytes]) -> dict[str, bytes]:
    upload(bucket.open(), sources(contents), "", 4, quiet)
    return contents


def bring(bucket: Bucket, target: Path, terms: Terms | None = None) -> None:
    store = bucket.open()
    download(store, list(store.list()), target, 4, quiet, terms=terms)


def refused(action: Callable[[], object]) -> StoreError:
    with pytest.raises(StoreError) as caught:
        action()
    return caught.value


def segments(client: Any, bucket: Bucket) -> list[str]:
    """Return the names of all segments that lie beside the bucket."""
    container = f"{bucket.ref.bucket}_segments"
    if container not in {item["name"] for item in client.get_account(full_listing=True)[1]}:
        return []
    return [item["name"] for item in client.get_container(container, full_listing=True)[1]]


def of_objects(bucket: Bucket, method: str, times: int, fault: Fault) -> Callable[[Asked], Fault | None]:
    """Return a fault of the first requests for each object, as often as the library tries by itself and once more."""

    def happens(asked: Asked) -> Fault | None:
        below = f"/{bucket.ref.bucket}/" in asked.path or f"/{bucket.ref.bucket}_segments/" in asked.path
        return fault if below and asked.method == method and asked.number <= times else None

    return happens


class TestStorms:
    def test_a_download_outlasts_more_503_than_the_library_does(
        self, faulty: Bucket, bucket: Bucket, proxy: FaultProxy, target: Path
    ) -> None:
        contents = fill(bucket, everything())
        proxy.fault = of_objects(bucket, "GET", 4, Fault(503))
        bring(faulty, target)
        assert digests_in(target) == digests(contents)

    def test_an_upload_outlasts_more_503_than_the_library_does(
        self, faulty: Bucket, bucket: Bucket, proxy: FaultProxy, swift_hands: Any, target: Path
    ) -> None:
        proxy.fault = of_objects(bucket, "PUT", 4, Fault(503))
        contents = fill(faulty, everything())
        bring(bucket, target)
        assert digests_in(target) == digests(contents)
        assert len(segments(swift_hands, bucket)) == 3

    def test_connections_that_break_again_and_again_are_outlasted(
        self, wired: Bucket, bucket: Bucket, wire: Wire, target: Path
    ) -> None:
        contents = fill(bucket, everything())
        store = replace(wired, options=IN_SEGMENTS).open()
        entries = list(store.list())
        wire.cut(after=2 * MIB, times=5)
        download(store, entries, target, 4, quiet)
        assert digests_in(target) == digests(contents)

    def test_a_failed_upload_is_told_and_leaves_nothing_half_stored(
        self, faulty: Bucket, bucket: Bucket, proxy: FaultProxy, swift_hands: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retrying, "ATTEMPTS", 1)
        proxy.fault = lambda asked: Fault(503) if asked.method == "PUT" and asked.path.endswith("/00000002") else None
        error = refused(lambda: fill(faulty, {"large": bytes(LARGE)}))
        assert (error.why, error.code.code) == (Why.BROKEN, "S302")
        assert "status 503" in error.message
        assert (list(bucket.open().list()), segments(swift_hands, bucket)) == ([], [])

    def test_a_trickle_is_given_up_and_the_rest_is_kept(
        self, faulty: Bucket, bucket: Bucket, proxy: FaultProxy, target: Path
    ) -> None:
        contents = fill(bucket, everything())
        trickle = Fault(bytes=PART + 10, trickle=True)
        content = f"{bucket.ref.bucket}/large"
        proxy.fault = lambda asked: trickle if asked.path.endswith(content) and not asked.query else None
        # The first part has to be there before the time is over, also where the machine has other work to do.
        error = refused(lambda: bring(faulty, target, Terms(stall_seconds=12)))
        assert (error.why, error.code.code) == (Why.STALLED, "S302")
        assert "stands still" in error.message
        assert "large" not in digests_in(target)
        proxy.fault = lambda asked: None
        bring(faulty, target)
        assert f"bytes={PART}-{LARGE - 1}" in [asked.range for asked in proxy.asked]
        assert digests_in(target) == digests(contents)


class TestChanges:
    @pytest.mark.parametrize("size", [100, LARGE])
    def test_an_object_deleted_or_replaced_after_the_listing_is_told_and_does_not_appear(
        self, bucket: Bucket, target: Path, size: int
    ) -> None:
        fill(bucket, {"a": bytes(size)})
        store = bucket.open()
        entries = list(store.list())
        fill(bucket, {"a": b"x" * size})
        error = refused(lambda: download(store, entries, target, 2, quiet))
        assert (error.why, error.code.code) == (Why.CHANGED, "S302")
        store.delete("a")
        error = refused(lambda: download(store, entries, target, 2, quiet))
        assert error.message.endswith("has changed since it was listed: it is gone")
        assert digests_in(target) == {}

    @pytest.mark.parametrize("size", [3000, 3 * MIB])
    def test_what_arrives_changed_does_not_appear(
        self, wired: Bucket, wire: Wire, target: Path, size: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retrying, "ATTEMPTS", 2)
        contents = fill(wired, {"a": b"a needle" + bytes(size)})
        wire.change(b"a needle", b"a nEEdle")
        error = refused(lambda: bring(wired, target))
        assert (error.why, error.code.code) == (Why.BROKEN, "S302")
        assert "arrived changed" in error.message
        assert digests_in(target) == {}
        wire.change(b"", b"")
        bring(wired, target)
        assert digests_in(target) == digests(contents)


def test_a_token_that_ends_in_the_middle_of_a_download_is_replaced(
    wired: Bucket, bucket: Bucket, wire: Wire, swiftcloud: SwiftCloud, target: Path
) -> None:
    contents = fill(bucket, everything())
    store = wired.open()

    def ending_in_the_middle() -> Iterable[Entry]:
        for number, entry in enumerate(list(store.list())):
            if number == 5:
                wait_for(lambda: len(digests_in(target)) == 5, 120)
                end_tokens(swiftcloud, wire)()
            yield entry

    download(store, ending_in_the_middle(), target, 4, quiet)
    assert len(wire.tokens) == 2
    assert digests_in(target) == digests(contents)


_UPLOAD = """
from trainyard.domain.training import Credentials, StoreRef
from trainyard.domain.addresses import ANYWHERE
from trainyard.stores.network.limits import NetworkLimits
from trainyard.stores.swift.adapter import SwiftStore
from trainyard.stores.transfer import Source, upload
store = SwiftStore({ref!r}, Credentials("ada", {password!r}), segment_bytes={part}, limits=NetworkLimits(ANYWHERE))
upload(store, [Source("large", {size}, lambda: open({file!r}, "rb"))], "", 2, print)
"""


def test_a_killed_upload_shows_no_object_and_goes_on_with_the_segments_that_are_stored(
    faulty: Bucket, bucket: Bucket, proxy: FaultProxy, swift_hands: Any, tmp_path: Path, target: Path
) -> None:
    content = os.urandom(LARGE)
    file = tmp_path / "large"
    file.write_bytes(content)
    program = _UPLOAD.format(ref=faulty.ref, password=PASSWORD, part=PART, size=LARGE, file=str(file))
    proxy.fault = lambda asked: Fault(silent=True) if asked.path.endswith("/00000002") else None
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.DEVNULL) as process:
        wait_for(lambda: len(segments(swift_hands, bucket)) >= 2, 120)
        process.kill()
    assert list(bucket.open().list()) == []
    proxy.fault = lambda asked: None
    proxy.asked.clear()
    upload(faulty.open(), [Source("large", LARGE, lambda: io.BytesIO(content))], "", 2, quiet)
    sent = [asked.path[-8:] for asked in proxy.asked if asked.method == "PUT" and "_segments/" in asked.path]
    assert set(sent) <= {"00000002"}
    assert len(segments(swift_hands, bucket)) == 3
    bring(bucket, target)
    assert digests_in(target) == digests({"large": content})
