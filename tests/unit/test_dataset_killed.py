"""A stager that is killed: nothing half is ever seen, and the next one goes on where it stopped."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from dataset_samples import REF, Bucket, files_in
from storeservers import wait_for

from trainyard.workspace import locks
from trainyard.workspace.datasets import DatasetCache
from trainyard.workspace.layout import Workspace
from trainyard.workspace.leases import Lease

pytest_plugins = ["dataset_fixtures"]

_LEASE_SECONDS = 2.0  # a machine that is busy lets no thread wait as long
_STAGER = """
import sys, time
from pathlib import Path
sys.path[:0] = {path!r}
from dataset_samples import REF, Bucket
from trainyard.workspace import locks
from trainyard.workspace.datasets import DatasetCache
from trainyard.workspace.layout import Workspace
from trainyard.workspace.leases import Lease
if {lease}:
    locks.keeps_kernel_locks = lambda folder: False
    locks.Lease = lambda path: Lease(path, {seconds})

def stop(key):
    if len(store.got) > 6:
        print("in the middle", flush=True)
        time.sleep(600)

store = Bucket(**{contents!r})
store.on_get = stop
DatasetCache(Workspace(Path({root!r}))).obtain(REF, store, "training-killed", 1, print)
"""


@pytest.fixture(params=["kernel", "lease"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(locks, "keeps_kernel_locks", lambda folder: request.param == "kernel")
    monkeypatch.setattr(locks, "Lease", lambda path: Lease(path, _LEASE_SECONDS))
    return str(request.param)


@pytest.fixture
def stager(store: Bucket, workspace: Workspace, kind: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process in the middle of its download."""
    program = _STAGER.format(
        path=[str(Path(__file__).parent), str(Path(__file__).parents[1])],
        lease=kind == "lease",
        seconds=_LEASE_SECONDS,
        contents=store.contents,
        root=str(workspace.root),
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert any(line == b"in the middle\n" for line in process.stdout)
        yield process
        process.kill()


def test_the_next_stager_goes_on_and_nothing_half_is_seen(
    stager: subprocess.Popen[bytes], cache: DatasetCache, store: Bucket, workspace: Workspace
) -> None:
    reported: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(cache.obtain, REF, store, "training-a", 1, reported.append)
        wait_for(lambda: any("waiting for another run" in text for text in reported))
        assert list(workspace.dataset(REF).glob("[!.]*")) == []
        assert cache.cached() == []
        stager.kill()
        dataset = run.result(240)
    assert files_in(dataset.path) == store.contents
    assert (len(store.whole), dataset.downloaded_bytes) == (5, 5 * 3000)
    assert cache.held("training-killed") is None


def test_what_a_killed_stager_left_can_be_evicted(
    stager: subprocess.Popen[bytes], cache: DatasetCache, workspace: Workspace, kind: str
) -> None:
    assert cache.evict(0) == []
    stager.kill()
    stager.wait()
    if kind == "lease":
        return  # who does not wait for a lease gives its holder ten times as long
    assert len(cache.evict(0)) == 1
    assert files_in(workspace.dataset(REF)) == {".cache/lock": b""}
