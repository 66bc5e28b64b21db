"""What goes wrong between store and folder: afterwards the folder, or the bucket, is right, or the error is clear."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread

import boto3
import pytest
from botocore.config import Config
from faultproxy import Asked, Fault, FaultProxy
from killable import BUCKET, LARGE, Server, digests, digests_in, quiet, small_and_large, sources, store_at
from storeservers import KEY, SECRET, wait_for

from trainyard.domain.digest import MIB, PART
from trainyard.errors import TrainyardError
from trainyard.stores.base import Entry, StoreError, Why
from trainyard.stores.moving import parallel, retrying
from trainyard.stores.moving.values import Terms
from trainyard.stores.transfer import Source, Transferred, download, upload


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "FIRST_PAUSE", 0.2)
    monkeypatch.setattr(parallel, "LEAVING_SECONDS", 0.2)


def bring(endpoint: str, target: Path, terms: Terms | None = None) -> Transferred:
    store = store_at(endpoint)
    return download(store, list(store.list()), target, 8, quiet, terms=terms)


def refused(action: Callable[[], object]) -> StoreError:
    with pytest.raises(StoreError) as caught:
        action()
    return caught.value


class TestDownload:
    def test_a_storm_of_503_is_outlasted(self, server: Server, target: Path) -> None:
        contents = server.fill(**small_and_large())

        def storm(asked: Asked) -> Fault | None:
            return Fault(503) if asked.path != f"/{BUCKET}" and asked.number <= 2 else None

        with FaultProxy(server.endpoint, storm) as proxy:
            bring(proxy.url, target)
        assert digests_in(target) == digests(contents)

    def test_a_store_that_only_fails_is_told(
        self, server: Server, target: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retrying, "ATTEMPTS", 1)
        server.fill(a=b"1")
        with FaultProxy(server.endpoint, lambda asked: Fault(503) if asked.path == f"/{BUCKET}/a" else None) as proxy:
            error = refused(lambda: bring(proxy.url, target))
        assert (error.why, error.code.code) == (Why.BROKEN, "S302")
        assert "SlowDown (503)" in error.message
        assert digests_in(target) == {}

    def test_cut_connections_are_mended_part_by_part(self, server: Server, target: Path) -> None:
        contents = server.fill(**small_and_large())

        def cut(asked: Asked) -> Fault | None:
            return Fault(bytes=PART + 7 if asked.path.endswith("large") else 7) if asked.number == 1 else None

        with FaultProxy(server.endpoint, lambda asked: cut(asked) if asked.path != f"/{BUCKET}" else None) as proxy:
            bring(proxy.url, target)
            ranges = [asked.range for asked in proxy.asked if asked.path.endswith("large")]
        assert digests_in(target) == digests(contents)
        assert ranges[1].startswith(f"bytes={PART}-")

    def test_a_store_that_stops_in_the_middle_is_given_up_and_the_rest_is_kept(
        self, server: Server, target: Path
    ) -> None:
        contents = server.fill(**small_and_large())
        silent = Fault(bytes=2 * PART + 10, silent=True)
        with FaultProxy(server.endpoint, lambda asked: silent if asked.path.endswith("large") else None) as proxy:
            error = refused(lambda: bring(proxy.url, target, Terms(stall_seconds=1.5)))
            assert (error.why, error.code.code) == (Why.STALLED, "S302")
            assert "stands still: less than 1024 bytes a second for 1.5 seconds" in error.message
            assert "large" not in digests_in(target)
            proxy.fault = lambda asked: None
            bring(proxy.url, target)
            # Small objects that had not come yet may be asked for after it.
            ranges = [asked.range for asked in proxy.asked if asked.path.endswith("large")]
            assert ranges[-1] == f"bytes={2 * PART}-{LARGE - 1}"
        assert digests_in(target) == digests(contents)

    def test_a_trickle_is_no_progress_and_is_told_as_such(self, server: Server, target: Path) -> None:
        contents = server.fill(**small_and_large())
        trickle = Fault(bytes=2 * PART + 10, trickle=True)
        with FaultProxy(server.endpoint, lambda asked: trickle if asked.path.endswith("large") else None) as proxy:
            error = refused(lambda: bring(proxy.url, target, Terms(stall_seconds=1.5)))
        assert (error.why, error.code.code) == (Why.STALLED, "S302")
        assert "stands still: less than 1024 bytes a second for 1.5 seconds" in error.message
        assert error.hint == "Look at the store and the network; what has arrived is kept."
        assert "large" not in digests_in(target)
        bring(server.endpoint, target)
        assert digests_in(target) == digests(contents)

    def test_an_object_deleted_after_the_listing_is_told(self, server: Server, target: Path) -> None:
        server.fill(a=b"1", b=b"2")
        store = store_at(server.endpoint)
        entries = list(store.list())
        store.delete("b")
        error = refused(lambda: download(store, entries, target, 2, quiet))
        assert (error.why, error.code.code) == (Why.CHANGED, "S302")
        assert error.message.startswith("'b' in bucket bucket at ")
        assert error.message.endswith("has changed since it was listed: it is gone")

    @pytest.mark.parametrize("size", [100, 3 * MIB, LARGE])
    def test_an_object_replaced_while_it_is_read_is_told_and_does_not_appear(
        self, server: Server, target: Path, size: int
    ) -> None:
        server.fill(a=bytes(size))

        def replace_it(asked: Asked) -> None:
            if asked.path.endswith("/a"):
                (server.bucket / "a").write_bytes(b"x" * size)
                os.utime(server.bucket / "a", (1, 1))

        with FaultProxy(server.endpoint, replace_it) as proxy:
            error = refused(lambda: bring(proxy.url, target))
        assert error.why is Why.CHANGED
        assert digests_in(target) == {}
        bring(server.endpoint, target)
        assert digests_in(target) == digests({"a": b"x" * size})

    def test_a_server_that_is_killed_and_started_again_is_waited_for(self, server: Server, target: Path) -> None:
        contents = server.fill(**small_and_large())
        restarts: list[Thread] = []

        def kill_once(asked: Asked) -> Fault | None:
            if asked.path.endswith("large") and not restarts:
                server.kill()
                restarts.append(Thread(target=server.start))
                restarts[0].start()
            return None

        with FaultProxy(server.endpoint, kill_once) as proxy:
            bring(proxy.url, target)
        restarts[0].join()
        assert digests_in(target) == digests(contents)

    def test_a_killed_download_goes_on_where_its_parts_end(self, server: Server, target: Path) -> None:
        contents = server.fill(large=os.urandom(MIB) * (LARGE // MIB) + b"12345")
        program = f"""
from pathlib import Path
from trainyard.domain.training import Credentials, StoreRef
from trainyard.domain.addresses import ANYWHERE
from trainyard.stores.network.limits import NetworkLimits
from trainyard.stores.network.call import Call, calling
from trainyard.stores.network.limits import NetworkLimits
from trainyard.stores.s3.adapter import S3Store
from trainyard.stores.transfer import download
import sys
ref, limits = StoreRef("s3", {BUCKET!r}, sys.argv[1]), NetworkLimits(ANYWHERE)
store = S3Store(ref, Credentials({KEY!r}, {SECRET!r}), limits=limits)
download(store, list(store.list()), Path({str(target)!r}), 4, print)
"""
        silent = Fault(bytes=3 * PART + 10, silent=True)
        parts = target.with_name("target.parts")
        with FaultProxy(server.endpoint, lambda asked: silent if "large" in asked.path else None) as proxy:
            with subprocess.Popen([sys.executable, "-c", program, proxy.url], stdout=subprocess.PIPE) as process:
                wait_for(lambda: any("2;" in side.read_text() for side in parts.glob("*.done")), 120)
                process.kill()
            assert digests_in(target) == {}
            proxy.fault = lambda asked: None
            proxy.asked.clear()
            bring(proxy.url, target)
            assert [asked.range for asked in proxy.asked if asked.range] == [f"bytes={3 * PART}-{LARGE - 1}"]
        assert digests_in(target) == digests(contents)
        assert not parts.exists()


class TestDisk:
    def test_what_does_not_fit_beside_the_reserve_is_refused_before_it_moves(
        self, server: Server, target: Path, tmp_path: Path
    ) -> None:
        server.fill(a=bytes(1000))
        everything = shutil.disk_usage(tmp_path).free + 2**40
        with pytest.raises(TrainyardError, match=r"workspace has room for 0 beside the \d+ that stay free") as caught:
            bring(server.endpoint, target, Terms(reserve=everything))
        assert caught.value.code.code == "S302"
        assert digests_in(target) == {}

    def test_a_disk_that_fills_meanwhile_ends_the_download_at_the_reserve(
        self, server: Server, target: Path, tmp_path: Path
    ) -> None:
        server.fill(**{f"file-{number:02d}": os.urandom(2 * MIB) for number in range(30)})
        # Others write to the disk too: it has to be a lot.
        gib, free = 1024 * MIB, shutil.disk_usage(tmp_path).free
        if free < 8 * gib:
            pytest.skip("the disk has too little room to be filled by 4 GiB")
        reserve = free - 2 * gib

        def another_writes(asked: Asked) -> None:
            if asked.path.endswith("file-20"):
                with (tmp_path / "filler").open("wb") as filler:
                    os.posix_fallocate(filler.fileno(), 0, 4 * gib)

        with (
            FaultProxy(server.endpoint, another_writes) as proxy,
            pytest.raises(TrainyardError, match="has room for 0 beside") as caught,
        ):
            bring(proxy.url, target, Terms(reserve=reserve))
        (tmp_path / "filler").unlink()
        assert caught.value.code.code == "S302"
        assert 0 < len(digests_in(target)) < 30
        assert bring(server.endpoint, target).moved_files < 30
        assert len(digests_in(target)) == 30


class TestUpload:
    def test_a_storm_of_503_is_outlasted(self, server: Server) -> None:
        contents = small_and_large()

        def storm(asked: Asked) -> Fault | None:
            return Fault(503) if asked.method in ("PUT", "POST") and asked.number <= 2 else None

        with FaultProxy(server.endpoint, storm) as proxy:
            upload(store_at(proxy.url), sources(contents), "", 8, quiet)
        assert digests_in(server.bucket) == digests(contents)
        assert half_stored(server) == []

    def test_a_failed_upload_leaves_nothing_half_stored(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(retrying, "ATTEMPTS", 1)

        def third_part(asked: Asked) -> Fault | None:
            return Fault(503) if "partNumber=3" in asked.query else None

        with FaultProxy(server.endpoint, third_part) as proxy:
            error = refused(lambda: upload(store_at(proxy.url), sources({"large": bytes(LARGE)}), "", 4, quiet))
        assert error.why is Why.BROKEN
        assert half_stored(server) == []
        assert list(store_at(server.endpoint).list()) == []

    def test_a_server_that_is_killed_and_started_again_is_told_everything(self, server: Server) -> None:
        contents = small_and_large()
        restarts: list[Thread] = []

        def kill_once(asked: Asked) -> Fault | None:
            if "partNumber=3" in asked.query and not restarts:
                server.kill()
                restarts.append(Thread(target=server.start))
                restarts[0].start()
            return None

        with FaultProxy(server.endpoint, kill_once) as proxy:
            upload(store_at(proxy.url), sources(contents), "", 4, quiet)
        restarts[0].join()
        stored = digests_in(server.bucket)
        # What a killed rclone had of an upload stays beside the objects, under a name of its own.
        assert {key: stored[key] for key in stored if not key.startswith(".rclone_temp")} == digests(contents)

    def test_a_killed_upload_goes_on_with_the_parts_that_are_stored(self, server: Server, tmp_path: Path) -> None:
        content = os.urandom(MIB) * (LARGE // MIB) + b"12345"
        file = tmp_path / "large"
        file.write_bytes(content)
        program = f"""
import sys
from pathlib import Path
from trainyard.domain.training import Credentials, StoreRef
from trainyard.domain.addresses import ANYWHERE
from trainyard.stores.network.limits import NetworkLimits
from trainyard.stores.s3.adapter import S3Store
from trainyard.stores.transfer import Source, upload
ref, limits = StoreRef("s3", {BUCKET!r}, sys.argv[1]), NetworkLimits(ANYWHERE)
store = S3Store(ref, Credentials({KEY!r}, {SECRET!r}), limits=limits)
upload(store, [Source("large", {LARGE}, lambda: open({str(file)!r}, "rb"))], "", 2, print)
"""

        def fourth_part(asked: Asked) -> Fault | None:
            return Fault(silent=True) if "partNumber=4" in asked.query else None

        def part_numbers() -> list[str]:
            return [asked.query for asked in proxy.asked if "partNumber=" in asked.query and asked.method == "PUT"]

        with FaultProxy(server.endpoint, fourth_part) as proxy:
            with subprocess.Popen([sys.executable, "-c", program, proxy.url], stdout=subprocess.PIPE) as process:
                wait_for(lambda: set(half_stored(server)) >= {1, 2, 3}, 120)
                process.kill()
            assert list(store_at(server.endpoint).list()) == []
            proxy.fault = lambda asked: None
            proxy.asked.clear()
            upload(store_at(proxy.url), [Source("large", LARGE, lambda: file.open("rb"))], "", 4, quiet)
            sent = part_numbers()
        assert digests_in(server.bucket) == digests({"large": content})
        assert not any(f"partNumber={number}&" in f"{query}&" for query in sent for number in (1, 2, 3))
        assert half_stored(server) == []

    def test_what_others_send_with_the_same_key_is_left_alone(self, server: Server) -> None:
        store = store_at(server.endpoint)
        other = store.in_parts("large", LARGE, resume=False)
        assert other is not None
        other.put(0, bytes(PART))
        upload(store, sources({"large": bytes(LARGE)}), "", 4, quiet, shared=True)
        assert half_stored(server) == [1]
        other.abort()


def half_stored(server: Server) -> list[int]:
    """Return the numbers of all parts of uploads that are not finished; [0] for one without parts."""
    keys = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=server.endpoint, config=Config(s3={"addressing_style": "path"}), **keys)
    found: list[int] = []
    # The server answers so where there has never been one.
    with suppress(client.exceptions.NoSuchUpload):
        for one in client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ()):
            parts = client.list_parts(Bucket=BUCKET, Key=one["Key"], UploadId=one["UploadId"]).get("Parts", ())
            found += [part["PartNumber"] for part in parts] or [0]
    return found


def test_a_server_that_answers_a_part_with_the_whole_object_is_told_and_spoils_nothing(server: Server) -> None:
    contents = server.fill(a=os.urandom(1000))
    (listed,) = store_at(server.endpoint).list()
    into = io.BytesIO()
    whole = Fault(200, contents["a"], f'"{listed.etag}"')
    with FaultProxy(server.endpoint, lambda asked: whole if asked.range else None) as proxy:
        error = refused(lambda: store_at(proxy.url).read(listed, 10, 20, into))
    assert error.why is Why.BROKEN
    assert error.message.endswith("it does not answer with the part that was asked for")
    assert into.getvalue() == b""
    assert store_at(server.endpoint).read(listed, 10, 20, into) == Entry("a", 1000, listed.etag, listed.md5)
    assert into.getvalue() == contents["a"][10:30]
