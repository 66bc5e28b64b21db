"""S3 servers as people meet them: what each of their refusals means and whose fault it is, and life without etags."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from oddstore import Answer, OddStore

from trainyard.domain.addresses import ANYWHERE
from trainyard.domain.training import Credentials, StoreRef
from trainyard.stores.base import Store, StoreError, Why
from trainyard.stores.moving.values import Source
from trainyard.stores.network.limits import NetworkLimits
from trainyard.stores.s3.adapter import S3Store
from trainyard.stores.sampling import read_start
from trainyard.stores.swift.adapter import SwiftStore
from trainyard.stores.transfer import download, upload
from trainyard.workspace.datasets import DatasetCache, version_of
from trainyard.workspace.layout import Workspace

SECRET = "hidden-secret"
HTTP_RETRIES = 3


def store_at(endpoint: str, bucket: str = "b-ucket") -> Store:
    return S3Store(StoreRef("s3", bucket, endpoint), Credentials("key", SECRET), limits=NetworkLimits(ANYWHERE))


def swift_at(endpoint: str) -> Store:
    ref = StoreRef("bluemix_objectstore", "b", endpoint, domain="d", project="p")
    return SwiftStore(ref, Credentials("ada", SECRET), limits=NetworkLimits(ANYWHERE))


def refused(action: Callable[[], object]) -> StoreError:
    with pytest.raises(StoreError) as caught:
        action()
    return caught.value


def quiet(_: str) -> None:
    pass


def source(key: str, content: bytes) -> Source:
    return Source(key, len(content), lambda: io.BytesIO(content))


# What a real store answers, and the words without which its refusal cannot be understood.
REFUSALS = [
    (403, "RequestTimeTooSkewed", "", "S302", "clocks"),
    (403, "AccessDenied", "<Message>Request has expired</Message>", "S302", "clocks"),
    (403, "InvalidObjectState", "<StorageClass>GLACIER</StorageClass>", "C103", "archived"),
    (400, "KMS.DisabledException", "", "C103", "encryption key"),
    (400, "KMS.NotFoundException", "", "C103", "encryption key"),
    (403, "AccessDenied", "<Message>not authorized to perform: kms:Decrypt</Message>", "C103", "encryption key"),
    (400, "XMinioKMSKeyNotFound", "", "C103", "encryption key"),
    (
        400,
        "InvalidRequest",
        "<Message>The object was stored using a form of Server Side Encryption.</Message>",
        "C103",
        "SSE-C",
    ),
    (403, "AccessDenied", "<Message>Bucket is Requester Pays bucket</Message>", "C103", "requester pays"),
    (301, "PermanentRedirect", "<Endpoint>elsewhere</Endpoint>", "C103", "another region"),
    (400, "AuthorizationHeaderMalformed", "<Region>eu-de</Region>", "C103", "region eu-de"),
    (400, "AuthorizationHeaderMalformed", "", "C103", "region"),
    (400, "ExpiredToken", "", "C103", "expired"),
    (400, "InvalidBucketName", "", "C103", "name"),
    (403, "AccountProblem", "", "C103", "account"),
    (501, "NotImplemented", "", "C103", "support"),
    (507, "", "", "C103", "no room"),
    (400, "QuotaExceeded", "", "C103", "no room"),
]


@pytest.mark.parametrize(("status", "code", "more", "fault", "word"), REFUSALS)
def test_a_refusal_names_the_stores_own_code_and_says_what_it_means(
    status: int, code: str, more: str, fault: str, word: str
) -> None:
    with OddStore(refuses=Answer(status, code, more, objects_only=True)) as odd:
        error = refused(lambda: store_at(odd.url).get("a.csv", io.BytesIO()))
    assert error.code.code == fault
    assert (code or str(status)) in error.message
    assert word in error.message
    assert "Give them the right" not in error.hint
    assert SECRET not in str(error.as_dict())


@pytest.mark.parametrize("code", ["EntityTooLarge", "XMinioAdminBucketQuotaExceeded", "XMinioStorageFull"])
def test_what_a_store_has_no_room_for_is_the_submitters_to_mend(code: str) -> None:
    with OddStore(refuses=Answer(400, code, methods=("PUT",))) as odd:
        error = refused(lambda: store_at(odd.url).put("model", io.BytesIO(b"12"), 2))
    assert (error.why, error.code.code) == (Why.UNABLE, "C103")
    assert code in error.message


def test_a_store_that_is_asked_too_much_is_tried_again_and_said_to_be_busy() -> None:
    with OddStore(refuses=Answer(503, "SlowDown", objects_only=True)) as odd:
        error = refused(lambda: store_at(odd.url).get("a.csv", io.BytesIO()))
        assert len(odd.asked) == HTTP_RETRIES
    assert (error.code.code, error.code.retried) == ("S302", True)
    assert "fewer requests" in error.message
    assert "SlowDown" in error.message


def test_what_a_store_calls_its_refusal_cannot_spoil_the_message() -> None:
    with OddStore(refuses=Answer(400, "A&#10;B" + "x" * 1000)) as odd:
        error = refused(lambda: list(store_at(odd.url).list()))
    assert "\n" not in error.message
    assert len(error.message) < 250


class TestNoEtags:
    def test_objects_are_downloaded_and_known_again_by_size_and_time(self, tmp_path: Path) -> None:
        with OddStore({"a.csv": b"1", "b/c.csv": b"22"}, etags=False) as odd:
            store = store_at(odd.url)
            listed = list(store.list())
            assert [(entry.etag, entry.modified) for entry in listed] == [("", 1_700_000_000)] * 2
            download(store, listed, tmp_path / "data", 2, quiet)
            assert (tmp_path / "data/b/c.csv").read_bytes() == b"22"
            before = version_of(listed)
            assert version_of(store.list()) == before
            odd.objects["a.csv"], odd.modified["a.csv"] = b"2", 1_700_000_500
            assert version_of(store.list()) != before

    def test_a_dataset_is_cached_and_a_changed_one_is_a_new_version(self, tmp_path: Path) -> None:
        cache, ref = DatasetCache(Workspace(tmp_path)), StoreRef("s3", "b-ucket", "http://any")
        with OddStore({"a.csv": b"1"}, etags=False) as odd:
            first = cache.obtain(ref, store_at(odd.url), "training-a", 1, quiet)
            again = cache.obtain(ref, store_at(odd.url), "training-b", 1, quiet)
            assert (again.path, again.hit) == (first.path, True)
            odd.objects["a.csv"], odd.modified["a.csv"] = b"2", 1_700_000_500
            changed = cache.obtain(ref, store_at(odd.url), "training-c", 1, quiet)
        assert (changed.path / "a.csv").read_bytes() == b"2"
        assert (first.path / "a.csv").read_bytes() == b"1"

    def test_an_object_that_is_replaced_after_it_was_listed_is_noticed_by_its_time(self) -> None:
        with OddStore({"a.csv": b"1"}, etags=False) as odd:
            store = store_at(odd.url)
            (listed,) = store.list()
            odd.objects["a.csv"], odd.modified["a.csv"] = b"2", 1_700_000_500
            assert refused(lambda: store.read(listed, 0, 1, io.BytesIO())).why is Why.CHANGED

    def test_without_times_too_the_size_alone_decides(self, tmp_path: Path) -> None:
        with OddStore({"a.csv": b"1"}, etags=False, times=False) as odd:
            store = store_at(odd.url)
            download(store, list(store.list()), tmp_path / "data", 1, quiet)
            before = version_of(store.list())
            odd.objects["a.csv"] = b"22"
            assert version_of(store.list()) != before
        assert (tmp_path / "data/a.csv").read_bytes() == b"1"

    def test_what_is_stored_is_verified_by_its_size(self) -> None:
        with OddStore({}, etags=False) as odd:
            assert upload(store_at(odd.url), [source("model", b"12")], "m/", 1, quiet).moved_files == 1
            assert odd.objects == {"m/model": b"12"}


class TestReadingAByte:
    def test_an_object_is_tried_by_one_byte_of_it(self) -> None:
        with OddStore({"large": b"x" * 3_000_000}) as odd:
            store = store_at(odd.url)
            (listed,) = store.list()
            read_start(store, listed)
            assert odd.asked[1:] == ["GET large bytes=0-0"]

    def test_a_server_that_knows_no_ranges_is_read_from_all_the_same(self) -> None:
        with OddStore({"large": b"x" * 3_000_000}, ranges=False) as odd:
            store = store_at(odd.url)
            (listed,) = store.list()
            read_start(store, listed)

    def test_an_empty_object_is_tried_too(self) -> None:
        with OddStore({"empty": b""}) as odd:
            store = store_at(odd.url)
            (listed,) = store.list()
            read_start(store, listed)
            odd.refuses = Answer(403, "AccessDenied", objects_only=True)
            assert refused(lambda: read_start(store, listed)).why is Why.FORBIDDEN


class TestHosts:
    @pytest.mark.parametrize("at", [store_at, swift_at])
    def test_one_that_does_not_exist_is_the_submitters_at_the_first_try(
        self, at: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = names(monkeypatch, socket.EAI_NONAME)
        error = refused(lambda: list(at("http://stores.no-such-host.invalid").list()))
        assert (error.why, error.code.code, error.code.retried) == (Why.NO_HOST, "C103", False)
        assert "stores.no-such-host.invalid" in error.message
        assert len(asked) == 1

    @pytest.mark.parametrize("at", [store_at, swift_at])
    def test_a_name_server_that_does_not_answer_is_the_services(
        self, at: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names(monkeypatch, socket.EAI_AGAIN)
        error = refused(lambda: list(at("http://stores.example.com").list()))
        assert (error.why, error.code.code, error.code.retried) == (Why.UNREACHABLE, "S302", True)
        assert "looked up" in error.message

    @pytest.mark.parametrize("at", [store_at, swift_at])
    def test_one_that_refuses_connections_is_said_to_do_so(self, at: Callable[[str], Store], closed_port: int) -> None:
        error = refused(lambda: list(at(f"http://127.0.0.1:{closed_port}").list()))
        assert (error.why, error.code.code, error.code.retried) == (Why.UNREACHABLE, "S302", True)
        assert "the connection is refused" in error.message

    def test_nothing_is_tried_again_by_an_upload_whose_host_does_not_exist(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = names(monkeypatch, socket.EAI_NONAME)
        store = store_at("http://stores.no-such-host.invalid")
        assert refused(lambda: upload(store, [source("model", b"12")], "m/", 1, quiet)).why is Why.NO_HOST
        assert len(asked) == 1


def names(monkeypatch: pytest.MonkeyPatch, errno: int) -> list[str]:
    """Have the resolver fail at every name; return the names that are asked for."""
    asked: list[str] = []

    def fail(host: str, *_: Any, **__: Any) -> Any:
        if host[0].isdigit():
            return real(host, *_, **__)
        asked.append(host)
        raise socket.gaierror(errno, "as the test has it")

    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", fail)
    return asked
