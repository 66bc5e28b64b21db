"""Signing in at Keystone for Swift: refusals, regions, and tokens that end in the middle of the work."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from storeservers import Bucket, end_tokens
from swiftcloud.cloud import EMPTY_REGION
from swiftcloud.sharing import SwiftCloud
from wire import Wire

from trainyard.domain.digest import MIB
from trainyard.domain.training import StoreRef
from trainyard.stores.base import StoreError, Why
from trainyard.stores.swift.session import keystone_url
from trainyard.stores.transfer import Source, upload

SEGMENT = MIB


def quiet(text: str) -> None:
    pass


def refused(bucket: Bucket, ref: StoreRef) -> StoreError:
    with pytest.raises(StoreError) as caught:
        list(bucket.open(ref).list())
    return caught.value


class Eventful(io.BytesIO):
    """A file that does a deed once so many bytes have been read from it or written to it."""

    def __init__(self, action: Callable[[], Any], after: int, content: bytes = b"") -> None:
        super().__init__(content)
        self._action, self._after = action, after

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self._happen()
        return data

    def write(self, data: Any, /) -> int:
        written = super().write(data)
        self._happen()
        return written

    def _happen(self) -> None:
        if self._action and self.tell() >= self._after:
            action, self._action = self._action, None  # type: ignore[assignment]
            action()


def test_a_wrong_domain_or_project_is_refused_as_wrong_credentials(swift: Bucket, swiftcloud: SwiftCloud) -> None:
    wrongs = ({"domain": "other"}, {"domain": None}, {"project": "other"}, {"project": swiftcloud.elsewhere})
    for wrong in wrongs:
        error = refused(swift, replace(swift.ref, **wrong))  # type: ignore[arg-type]
        assert (error.why, error.code.code) == (Why.CREDENTIALS, "C103"), wrong
        assert "domain and project" in error.hint


@pytest.mark.parametrize("region", ["atlantis", EMPTY_REGION])
def test_a_region_without_an_object_store_is_named(swift: Bucket, region: str) -> None:
    error = refused(swift, replace(swift.ref, region=region))
    assert (error.why, error.code.code) == (Why.NO_BUCKET, "C103")
    assert f"there is no object store for region {region}" in error.message
    assert "region" in error.hint


def test_without_a_region_the_first_one_is_taken(swift: Bucket) -> None:
    assert list(swift.open(replace(swift.ref, region=None)).list()) == []


def test_an_address_without_keystone_is_refused(swift: Bucket, swiftcloud: SwiftCloud) -> None:
    for elsewhere in (swiftcloud.swift, f"{swiftcloud.keystone}/elsewhere"):
        error = refused(swift, replace(swift.ref, endpoint=elsewhere))
        assert (error.why, error.code.code) == (Why.NO_BUCKET, "C103")
        assert "no Keystone v3 answers there" in error.message
        assert "auth_url" in error.hint


def test_keystones_address_may_end_with_its_version(swift: Bucket) -> None:
    assert list(swift.open(replace(swift.ref, endpoint=f"{swift.ref.endpoint}/v3/")).list()) == []


@pytest.mark.parametrize("given", ["https://id.example.com", "https://id.example.com/", "https://id.example.com/v3/"])
def test_the_version_of_keystone_may_be_in_its_address(given: str) -> None:
    assert keystone_url(given) == "https://id.example.com/v3"


def test_threads_share_one_sign_in(swift: Bucket, swiftcloud: SwiftCloud) -> None:
    with Wire(swiftcloud.keystone) as wire:
        store = swift.open(replace(swift.ref, endpoint=wire.url))
        sources = [Source(str(number), 1, lambda: io.BytesIO(b"x")) for number in range(20)]
        upload(store, sources, "", 4, quiet)
        assert wire.requests.count("POST /v3/auth/tokens") == 1


def test_a_token_that_has_ended_between_two_requests_is_replaced(
    wired: Bucket, wire: Wire, swiftcloud: SwiftCloud
) -> None:
    store = wired.open()
    stored = store.put("a", io.BytesIO(b"1"), 1)
    end_tokens(swiftcloud, wire)()
    assert list(store.list()) == [stored]
    assert len(wire.tokens) == 2


def test_a_token_that_ends_while_many_files_are_sent_is_replaced(
    wired: Bucket, wire: Wire, swiftcloud: SwiftCloud
) -> None:
    contents = {f"{number:02d}": os.urandom(3000) for number in range(40)}
    ending = Eventful(end_tokens(swiftcloud, wire), 1, contents["20"])
    sources = [
        Source(key, 3000, lambda key=key: ending if key == "20" else io.BytesIO(contents[key]))  # type: ignore[misc]
        for key in contents
    ]
    assert upload(wired.open(), sources, "", 4, quiet).moved_files == 40
    assert len(wire.tokens) > 1
    for key, content in contents.items():
        into = io.BytesIO()
        wired.open().get(key, into)
        assert into.getvalue() == content


def test_a_token_that_ends_between_two_segments_is_replaced(wired: Bucket, wire: Wire, swiftcloud: SwiftCloud) -> None:
    content = os.urandom(3 * SEGMENT)
    source = Eventful(end_tokens(swiftcloud, wire), SEGMENT, content)
    store = replace(wired, options={"TRAINYARD_SWIFT_SEGMENT_BYTES": str(SEGMENT)}).open()
    stored = store.put("large", source, len(content))
    assert len(wire.tokens) == 2
    into = io.BytesIO()
    assert store.get("large", into) == stored
    assert into.getvalue() == content


def test_a_token_that_ends_before_a_large_file_is_sent_is_replaced(
    wired: Bucket, wire: Wire, swiftcloud: SwiftCloud
) -> None:
    """Swift refuses such a request and hangs up while the file is still being sent."""
    store = wired.open()
    store.put("a", io.BytesIO(b"1"), 1)
    end_tokens(swiftcloud, wire)()
    content = os.urandom(20 * MIB)
    store.put("large", io.BytesIO(content), len(content))
    into = io.BytesIO()
    store.get("large", into)
    assert into.getvalue() == content


def test_a_download_whose_connection_breaks_goes_on_with_a_new_token(
    wired: Bucket, wire: Wire, swiftcloud: SwiftCloud
) -> None:
    content = os.urandom(5 * MIB)
    store = wired.open()
    stored = store.put("large", io.BytesIO(content), len(content))
    wire.cut(after=3 * MIB)
    into = Eventful(end_tokens(swiftcloud, wire), 1)
    assert store.get("large", into) == stored
    assert into.getvalue() == content
    assert len(wire.tokens) == 2


def test_a_download_that_keeps_breaking_is_told(wired: Bucket, wire: Wire) -> None:
    content = os.urandom(8 * MIB)
    store = wired.open()
    store.put("large", io.BytesIO(content), len(content))
    wire.cut(after=MIB, times=3)
    with pytest.raises(StoreError) as caught:
        store.get("large", io.BytesIO())
    assert (caught.value.why, caught.value.code.code) == (Why.BROKEN, "S302")
    into = io.BytesIO()
    store.get("large", into)
    assert into.getvalue() == content
