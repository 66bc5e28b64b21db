"""Whatever goes wrong while a dataset is staged from a real store: no half one is ever seen, and the next goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from faultproxy import Asked, Fault, FaultProxy
from killable import BUCKET, LARGE, Server, digests, digests_in, quiet, small_and_large, store_at
from storeservers import KEY, SECRET, wait_for

from trainyard.domain.digest import PART
from trainyard.domain.training import StoreRef
from trainyard.errors import TrainyardError
from trainyard.stores.moving import parallel, retrying
from trainyard.stores.moving.values import Terms
from trainyard.workspace.datasets import Dataset, DatasetCache
from trainyard.workspace.layout import Workspace

REF = StoreRef("s3", BUCKET, "http://objects.example.com")
SOON = Terms(stall_seconds=1)
FULL = Terms(reserve=2**60)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def proxy(server: Server) -> Iterator[FaultProxy]:
    with FaultProxy(server.endpoint) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "ATTEMPTS", 1)
    monkeypatch.setattr(parallel, "LEAVING_SECONDS", 0.2)


def obtain(
    workspace: Workspace, endpoint: str, terms: Terms | None = None, report: Callable[[str], object] = quiet
) -> Dataset:
    return DatasetCache(workspace).obtain(REF, store_at(endpoint), "training-a", 4, report, terms=terms)


def seen(workspace: Workspace) -> list[str]:
    """Return the versions that a run could mount, or that are told to people."""
    cached = [one.version for one in DatasetCache(workspace).cached()]
    return cached + [path.name for path in workspace.dataset(REF).glob("[!.]*")]


def of_large(fault: Fault) -> Callable[[Asked], Fault | None]:
    return lambda asked: fault if asked.path.endswith("large") else None


_FAULTS = {
    "a storm of 503": (of_large(Fault(503)), None, "SlowDown"),
    "a connection that is cut": (of_large(Fault(bytes=PART + 7)), None, "could not read from"),
    "silence": (of_large(Fault(bytes=PART + 7, silent=True)), SOON, "stands still"),
    "a trickle": (of_large(Fault(bytes=PART + 7, trickle=True)), SOON, "stands still"),
    "no room": (of_large(Fault()), FULL, "has room for 0"),
    "a right that is taken away": (of_large(Fault(403)), None, "not allowed to read from"),
}


@pytest.mark.parametrize(("fault", "terms", "reported"), _FAULTS.values(), ids=list(_FAULTS))
def test_a_staging_that_fails_shows_no_half_dataset_and_the_next_goes_on(
    server: Server,
    proxy: FaultProxy,
    workspace: Workspace,
    fault: Callable[[Asked], Fault | None],
    terms: Terms | None,
    reported: str,
) -> None:
    contents = server.fill(**small_and_large())
    proxy.fault = fault
    with pytest.raises(TrainyardError, match=reported):
        obtain(workspace, proxy.url, terms)
    assert seen(workspace) == []
    assert DatasetCache(workspace).held("training-a") is None
    proxy.fault = lambda asked: None
    dataset = obtain(workspace, proxy.url)
    assert digests_in(dataset.path) == digests(contents)
    assert set(seen(workspace)) == {dataset.version}


def test_a_server_that_goes_and_stays_away_shows_no_half_dataset(
    server: Server, proxy: FaultProxy, workspace: Workspace
) -> None:
    contents = server.fill(**small_and_large())
    dead: list[bool] = []

    def kill_once(asked: Asked) -> None:
        if asked.path.endswith("large") and not dead:
            dead.append(True)
            server.kill()

    proxy.fault = kill_once
    try:
        with pytest.raises(TrainyardError) as caught:
            obtain(workspace, proxy.url)
        assert caught.value.code.code == "S302"
        assert seen(workspace) == []
    finally:
        server.start()
    assert digests_in(obtain(workspace, proxy.url).path) == digests(contents)


def test_an_object_that_changes_after_the_listing_is_in_neither_the_old_nor_a_mixed_version(
    server: Server, proxy: FaultProxy, workspace: Workspace
) -> None:
    contents = server.fill(**small_and_large())

    def replace_it(asked: Asked) -> None:
        if asked.path.endswith("large") and asked.number == 1:
            (server.bucket / "large").write_bytes(b"x" * LARGE)
            os.utime(server.bucket / "large", (1, 1))

    proxy.fault = replace_it
    with pytest.raises(TrainyardError, match="has changed since it was listed"):
        obtain(workspace, proxy.url)
    assert seen(workspace) == []
    assert digests_in(obtain(workspace, proxy.url).path) == digests({**contents, "large": b"x" * LARGE})


_STAGER = """
import sys
from pathlib import Path
from trainyard.domain.training import Credentials, StoreRef
from trainyard.domain.addresses import ANYWHERE
from trainyard.stores.network.limits import NetworkLimits
from trainyard.stores.s3.adapter import S3Store
from trainyard.workspace.datasets import DatasetCache
from trainyard.workspace.layout import Workspace
ref, limits = StoreRef("s3", {bucket!r}, sys.argv[1]), NetworkLimits(ANYWHERE)
store = S3Store(ref, Credentials({key!r}, {secret!r}), limits=limits)
DatasetCache(Workspace(Path(sys.argv[2]))).obtain({ref!r}, store, "training-killed", 4, print)
"""


def test_a_worker_that_is_killed_with_the_lock_leaves_it_and_its_parts_to_the_next(
    server: Server, proxy: FaultProxy, workspace: Workspace
) -> None:
    contents = server.fill(large=os.urandom(LARGE), small=b"content")
    proxy.fault = of_large(Fault(bytes=3 * PART + 10, silent=True))
    program = _STAGER.format(bucket=BUCKET, key=KEY, secret=SECRET, ref=REF)
    command = [sys.executable, "-c", program, proxy.url, str(workspace.root)]
    reported: list[str] = []
    with (
        subprocess.Popen(command, stdout=subprocess.DEVNULL) as worker,
        ThreadPoolExecutor(1) as pool,
    ):
        wait_for(lambda: any("2;" in side.read_text() for side in workspace.root.rglob("*.done")), 120)
        run = pool.submit(obtain, workspace, proxy.url, None, reported.append)
        wait_for(lambda: any("waiting for another run" in text for text in reported))
        assert seen(workspace) == []
        proxy.fault = lambda asked: None
        proxy.asked.clear()
        worker.kill()
        dataset = run.result(240)
    # The first byte of what is there already is asked for, to see that this run may read it.
    assert [asked.range for asked in proxy.asked if asked.range] == ["bytes=0-0", f"bytes={3 * PART}-{LARGE - 1}"]
    assert digests_in(dataset.path) == digests(contents)
    assert DatasetCache(workspace).held("training-killed") is None
