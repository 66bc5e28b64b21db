"""Locks of the workspace: one holder at a time on any file system, freed by the holder's death."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from storeservers import wait_for

from trainyard.errors import TrainyardError
from trainyard.workspace import locks
from trainyard.workspace.leases import Lease
from trainyard.workspace.locks import locked, locked_if_free
from trainyard.workspace.mounts import trusts

QUICK = 2.0  # seconds; a machine that is busy lets no thread wait as long
_HOLDER = """
import time
from pathlib import Path
from trainyard.workspace import locks
if {lease}:
    from trainyard.workspace.leases import Lease
    locks.keeps_kernel_locks = lambda folder: False
    locks.Lease = lambda path: Lease(path, {seconds})
with locks.locked(Path({path!r})):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture(params=["kernel", "lease"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(locks, "keeps_kernel_locks", lambda folder: request.param == "kernel")
    monkeypatch.setattr(locks, "Lease", lambda path: Lease(path, QUICK))
    return str(request.param)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "below" / "lock"


def newest(path: Path) -> Path:
    folder = path.with_name(f"{path.name}.leases")
    return max(folder.glob("[0-9]*"), key=lambda file: int(file.name))


@pytest.mark.usefixtures("kind")
class TestEitherKind:
    def test_a_lock_has_one_holder_at_a_time(self, path: Path) -> None:
        with locked(path), locked_if_free(path) as free:
            assert not free
        with locked_if_free(path) as free:
            assert free

    def test_who_waits_is_told_once_and_goes_on_when_it_is_free(self, path: Path) -> None:
        reported: list[str] = []

        def wait() -> None:
            with locked(path, lambda: reported.append("waits")):
                reported.append("holds")

        with ThreadPoolExecutor(1) as pool:
            with locked(path, lambda: reported.append("never")):
                waiter = pool.submit(wait)
                wait_for(lambda: reported == ["waits"])
            waiter.result(240)
        assert reported == ["waits", "holds"]

    def test_many_at_once_come_one_after_another(self, path: Path, tmp_path: Path) -> None:
        count = tmp_path / "count"
        count.write_text("0")

        def add(_: int) -> None:
            with locked(path):
                count.write_text(str(int(count.read_text()) + 1))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(add, range(100)))
        assert count.read_text() == "100"

    def test_what_failed_in_its_holder_frees_a_lock(self, path: Path) -> None:
        with pytest.raises(ValueError, match="broken"), locked(path):
            raise ValueError("broken")
        with locked_if_free(path) as free:
            assert free


def test_a_holder_that_is_killed_frees_the_lock(path: Path, kind: str) -> None:
    program = _HOLDER.format(path=str(path), lease=kind == "lease", seconds=QUICK)
    reported: list[str] = []

    def wait() -> None:
        with locked(path, lambda: reported.append("waits")):
            reported.append("holds")

    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with ThreadPoolExecutor(1) as pool:
            waiter = pool.submit(wait)
            wait_for(lambda: reported == ["waits"])
            holder.kill()
            waiter.result(240)
    assert reported == ["waits", "holds"]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_where_the_kernel_has_no_locks_a_lease_is_taken(
    path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: object, what: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locked(path), locked_if_free(path) as free:
        assert not free
    assert newest(path).read_bytes() == b"free"


def test_another_failure_of_the_kernels_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: object, what: int) -> None:
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="input/output error"), locked(path):
        pass


class TestLease:
    @pytest.fixture(autouse=True)
    def folder(self, path: Path) -> None:
        path.parent.mkdir()

    def test_a_holder_that_writes_is_not_taken_for_dead_however_long_it_holds(self, path: Path) -> None:
        holder, other = Lease(path, QUICK), Lease(path, QUICK)
        assert holder.take()
        with ThreadPoolExecutor(1) as pool:
            waiter = pool.submit(other.wait)
            # Half as long again as the dead are given.
            wait_for(lambda: newest(path).read_bytes().endswith(b" 9"), 240)
            assert not waiter.done()
            holder.check()
            holder.release()
            waiter.result(240)
        other.check()
        other.release()

    def test_a_holder_that_was_taken_for_dead_is_told_and_takes_nothing_back(self, path: Path) -> None:
        silent, other, third = Lease(path, 1000), Lease(path, QUICK), Lease(path, QUICK)
        assert silent.take()
        other.wait()
        with pytest.raises(TrainyardError) as caught:
            silent.check()
        assert caught.value.code.code == "S302"
        silent.release()
        other.check()
        assert not third.take()
        other.release()
        assert third.take()
        third.release()

    def test_who_does_not_wait_takes_what_was_left_long_ago(self, path: Path) -> None:
        dead, other = Lease(path, 1000), Lease(path, 1000)
        assert dead.take()
        assert not other.take()
        os.utime(newest(path), (1000, 1000))
        assert other.take()
        for lease in (dead, other):
            lease.release()

    def test_who_saw_an_old_listing_claims_nothing(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for _ in range(2):
            lease = Lease(path)
            assert lease.take()
            lease.release()
        holder, late = Lease(path), Lease(path)
        assert holder.take()
        look, old = os.listdir, [["1"]]
        monkeypatch.setattr(os, "listdir", lambda folder: old.pop() if old else look(folder))
        (path.with_name("lock.leases") / "1").write_bytes(b"free")
        assert not late.take()
        holder.check()
        holder.release()

    def test_one_file_is_left_however_often_it_is_taken(self, path: Path) -> None:
        for _ in range(5):
            lease = Lease(path)
            assert lease.take()
            lease.release()
        assert [file.name for file in path.with_name("lock.leases").iterdir()] == ["5"]


_DISK = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard"


def _mount(kind: str, options: str = "rw", point: str = "/data") -> str:
    return f"44 27 0:42 / {point} rw,nosuid shared:5 - {kind} server:/export {options}"


@pytest.mark.parametrize(
    ("mount", "trusted"),
    [
        (_mount("xfs"), True),
        (_mount("nfs4", "rw,vers=4.2,hard,local_lock=none,addr=10.0.0.1"), True),
        (_mount("nfs", "rw,vers=3,nolock,local_lock=all"), False),
        (_mount("nfs", "rw,vers=3,local_lock=flock"), False),
        (_mount("ceph", "rw,name=admin,secret=<hidden>"), True),
        (_mount("lustre", "rw,flock"), True),
        (_mount("lustre", "rw,localflock"), False),
        (_mount("fuse.s3fs"), False),
        (_mount("fuse"), False),
        (_mount("virtiofs"), False),
        (_mount("cifs", "rw,nobrl"), False),
        (_mount("beegfs"), False),
        (_mount("fuse", point="/elsewhere"), True),
        (_mount("fuse", point="/dat"), True),
    ],
)
def test_the_kernels_locks_are_trusted_where_they_hold_on_all_machines(mount: str, trusted: bool) -> None:
    assert trusts(Path("/data/workspace"), [_DISK, mount]) is trusted


def test_the_innermost_mount_decides_and_of_two_on_one_point_the_later() -> None:
    inner = _mount("ext4", point="/data/work\\040space")
    folder = Path("/data/work space/datasets")
    assert trusts(folder, [_DISK, inner, _mount("fuse")])
    assert not trusts(folder, [_DISK, inner, _mount("fuse", point="/data/work\\040space")])
