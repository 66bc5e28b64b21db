"""How far a transfer is and whether it gets on; the room it needs; the listing it works on."""

from __future__ import annotations

import itertools
import shutil
import threading
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest
from memorystore import MemoryStore

from trainyard.errors import TrainyardError
from trainyard.stores.base import Entry, StoreError, Why
from trainyard.stores.moving import parallel
from trainyard.stores.moving.ahead import ahead
from trainyard.stores.moving.parallel import in_parallel
from trainyard.stores.moving.progress import Progress
from trainyard.stores.moving.room import Room
from trainyard.stores.moving.sending import Memory
from trainyard.stores.moving.values import Terms, TransferState
from trainyard.stores.transfer import download
from trainyard.workspace.layout import RunFolder
from trainyard.workspace.transfers import reported, transfer_of


def quiet(text: str) -> None:
    pass


class TestProgress:
    def test_a_note_tells_files_bytes_and_rate(self) -> None:
        noted: list[TransferState] = []
        progress = Progress("downloading", "here", quiet, Terms(note=noted.append))
        progress.found(2, 1000)
        progress.add(300)
        progress.tick()
        progress.all_found()
        progress.add(700)
        progress.file_done()
        progress.tick()
        assert [(at.files, at.files_total, at.bytes, at.bytes_total, at.listed) for at in noted] == [
            (0, 2, 300, 1000, False),
            (1, 2, 1000, 1000, True),
        ]
        assert noted[1].rate > 0

    def test_bytes_of_a_try_that_failed_are_taken_back(self) -> None:
        progress = Progress("downloading", "here", quiet, Terms())
        progress.add(300)
        progress.add(-300)
        assert progress.state().bytes == 0

    def test_without_progress_it_is_stalled(self) -> None:
        progress = Progress("uploading", "bucket b at http://s", quiet, Terms(stall_seconds=1e-9))
        progress.found(1, 10_000)
        with pytest.raises(StoreError) as caught:
            progress.tick()
        assert (caught.value.why, caught.value.code.code) == (Why.STALLED, "S302")
        assert "after 0 of 10000 bytes, bucket b at http://s" in caught.value.message

    @pytest.mark.parametrize(
        "moves",
        [
            lambda progress: progress.file_done(),
            lambda progress: progress.found(1, 100),
            lambda progress: progress.busy(),
            lambda progress: progress.add(10 * 1024),
        ],
    )
    def test_a_file_that_is_done_and_bytes_that_flow_are_progress(self, moves: Callable[[Progress], object]) -> None:
        now = [0.0]
        progress = Progress("uploading", "here", quiet, Terms(stall_seconds=10), lambda: now[0])
        for _ in range(3):
            now[0] += 6
            moves(progress)
            progress.tick()
        now[0] += 11
        with pytest.raises(StoreError, match="stands still"):
            progress.tick()

    def test_a_trickle_is_no_progress(self) -> None:
        now = [0.0]
        progress = Progress("uploading", "here", quiet, Terms(stall_seconds=10), lambda: now[0])
        for _ in range(2):
            now[0] += 5
            progress.add(100)
            progress.tick()
        now[0] += 1
        progress.add(100)
        with pytest.raises(StoreError, match="stands still"):
            progress.tick()


class TestListingAhead:
    def test_all_arrives_in_order(self) -> None:
        assert list(ahead(range(5000))) == list(range(5000))

    def test_it_is_bounded_and_ends_when_it_is_left(self) -> None:
        fetched: list[int] = []

        def endless() -> Iterator[int]:
            while True:
                fetched.append(len(fetched))
                yield fetched[-1]

        threads = threading.active_count()
        found = ahead(endless())
        assert list(islice(found, 10)) == list(range(10))
        found.close()
        assert threading.active_count() == threads
        assert len(fetched) < 3000

    def test_what_listing_raises_comes_after_what_was_found(self) -> None:
        def breaks() -> Iterator[int]:
            yield 1
            raise StoreError(Why.BROKEN, "no", "again")

        found = ahead(breaks())
        assert next(found) == 1
        with pytest.raises(StoreError, match="no"):
            next(found)

    def test_files_arrive_while_the_bucket_is_listed(self, tmp_path: Path) -> None:
        store = MemoryStore(**{f"{number:02d}": b"content" for number in range(20)})
        seen = threading.Event()
        store.on_get = lambda key: seen.set()

        def listing() -> Iterator[Entry]:
            entries = list(store.list())
            yield from entries[:5]
            assert seen.wait(120), "nothing was downloaded before the listing ended"
            yield from entries[5:]

        told_lines: list[str] = []
        moved = download(store, listing(), tmp_path / "target", 2, told_lines.append)
        assert moved.moved_files == 20
        # The last files may end before or after the listing does, and are told of then.
        found = [line for line in told_lines if not line.startswith("downloading: ")]
        assert found == ["downloading 20 files, 140 bytes, bucket memory at http://nowhere"]

    @pytest.mark.parametrize("keys", [("a", "a-b", "a/b"), ("b", "../up")])
    def test_a_listing_with_an_impossible_key_is_refused(self, tmp_path: Path, keys: tuple[str, ...]) -> None:
        store = MemoryStore(**dict.fromkeys(keys, b""))
        with pytest.raises(StoreError) as caught:
            download(store, (store.entry(key) for key in keys), tmp_path / "target", 1, quiet)
        assert caught.value.why is Why.BAD_KEY


class TestThreads:
    def test_a_thread_that_does_not_come_back_does_not_keep_the_failure_from_being_told(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(parallel, "LEAVING_SECONDS", 0.05)
        hang, hanging = threading.Event(), threading.Event()

        def action(item: int, stop: threading.Event) -> None:
            if item == 0:
                hanging.set()
                hang.wait(240)
            elif hanging.wait(120):
                raise ValueError("the failure")

        try:
            with pytest.raises(ValueError, match="the failure"):
                in_parallel(range(2), action, 2)
        finally:
            hang.set()

    def test_an_interrupt_before_all_threads_run_stops_those_that_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        started: list[threading.Thread] = []

        class Interrupted(threading.Thread):
            def start(self) -> None:
                if started:
                    raise KeyboardInterrupt
                started.append(self)
                super().start()

        monkeypatch.setattr(parallel, "Thread", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            in_parallel(itertools.count(), lambda _, stop: stop.wait(240) and None, 3)
        assert not started[0].is_alive()

    def test_what_a_tick_raises_ends_the_work(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(parallel, "_TICK_SECONDS", 0.01)

        def tick() -> None:
            raise ValueError("stalled")

        with pytest.raises(ValueError, match="stalled"):
            in_parallel(range(1), lambda _, stop: stop.wait(240) and None, 1, tick)


class TestRoom:
    def test_what_is_being_written_counts(self, tmp_path: Path) -> None:
        room = Room(tmp_path, 0)
        most = shutil.disk_usage(tmp_path).free * 3 // 4
        with room.claimed(most), pytest.raises(TrainyardError, match="has room for"), room.claimed(most):
            pass
        with room.claimed(most):
            pass

    def test_a_full_disk_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(TrainyardError, match="disk is full") as caught, Room(tmp_path, 0).claimed(1):
            Path("/dev/full").write_bytes(b"x")
        assert caught.value.code.code == "S302"


class TestMemory:
    def test_parts_wait_for_room_and_a_very_large_one_is_sent_alone(self) -> None:
        memory, stop = Memory(100), threading.Event()
        most, held = [], [0]
        lock = threading.Lock()

        def send(size: int, stop: threading.Event) -> None:
            with memory.held(size, stop):
                with lock:
                    held[0] += size
                    most.append(held[0])
                with lock:
                    held[0] -= size

        in_parallel([60, 50, 300, 40, 60] * 20, send, 8)
        assert max(size for size in most if size != 300) <= 100
        with memory.held(100, stop):
            stop.set()
            with pytest.raises(parallel.StoppedError), memory.held(1, stop):
                pass


class TestTransferOfARun:
    def test_it_is_told_while_it_goes_on(self, tmp_path: Path) -> None:
        run = RunFolder(tmp_path / "run")
        with reported(run, Terms(reserve=7)) as terms:
            assert terms.reserve == 7
            assert transfer_of(run) is None
            progress = Progress("downloading", "here", quiet, terms)
            progress.found(2, 1000)
            progress.tick()
            seen = transfer_of(run)
        assert seen is not None
        assert (seen["doing"], seen["files"], seen["files_total"], seen["bytes_total"]) == ("downloading", 0, 2, 1000)
        assert transfer_of(run) is None

    def test_what_a_dead_process_has_left_is_not_told(self, tmp_path: Path) -> None:
        run = RunFolder(tmp_path)
        run.transfer.write_text('{"at": 1000.0, "doing": "downloading"}')
        assert transfer_of(run, now=1001.0) == {"at": 1000.0, "doing": "downloading"}
        assert transfer_of(run, now=1100.0) is None

    @pytest.mark.parametrize("text", ["", "[]", "{}", "\xff"])
    def test_what_cannot_be_read_is_nothing(self, tmp_path: Path, text: str) -> None:
        run = RunFolder(tmp_path)
        run.transfer.write_bytes(text.encode("latin-1"))
        assert transfer_of(run) is None
