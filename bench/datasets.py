"""What a run costs whose data the cache has: a hundred runs on the same bucket, and one after a file has changed."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from bench.figures import Figure
from trainyard.domain.addresses import ANYWHERE
from trainyard.domain.training import Credentials, StoreRef
from trainyard.local.objectstore import find_rclone, objectstore_command, objectstore_environment, wait_until_ready
from trainyard.local.ports import pick_port
from trainyard.settings import read_settings
from trainyard.stores.base import Entry, Store
from trainyard.stores.opening import open_store
from trainyard.workspace.datasets import Dataset, DatasetCache
from trainyard.workspace.layout import Workspace

RUNS = 100
_KEY, _SECRET = "bench-key", "bench-secret"
_CHUNK = 1_000_000

Say = Callable[[str], None]


@dataclass(frozen=True)
class Shape:
    """A bucket: so many files of so many bytes."""

    name: str
    files: int
    size: int

    @property
    def reported(self) -> str:
        return f"{self.files:,} x {self.size // 1000:,} KB"


SHAPES = (Shape("many-small", 2000, 20_000), Shape("few-large", 4, 256_000_000))


@dataclass
class Counting:
    """A store that counts the bytes of objects that move, without those of its listings, and times these."""

    store: Any
    moved: int = 0
    objects: set[str] = field(default_factory=set)
    listing_seconds: float = 0.0

    def list(self, prefix: str = "", after: str = "") -> Iterator[Entry]:
        begun = time.perf_counter()
        found = [*self.store.list(prefix, after)]
        self.listing_seconds += time.perf_counter() - begun
        return iter(found)

    def get(self, key: str, into: BinaryIO) -> Entry:
        return self._count(key, into, lambda counted: self.store.get(key, counted))

    def read(self, listed: Entry, start: int, size: int, into: BinaryIO) -> Entry:
        return self._count(listed.key, into, lambda counted: self.store.read(listed, start, size, counted))

    def _count(self, key: str, into: BinaryIO, action: Callable[[Any], Entry]) -> Entry:
        self.objects.add(key)
        return action(_Counted(self, into))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


@dataclass
class _Counted:
    by: Counting
    into: BinaryIO

    def write(self, data: bytes) -> int:
        self.by.moved += len(data)
        return self.into.write(data)


def measure(say: Say) -> list[Figure]:
    """Time every run as its staging would: a store opened again, a listing, a look at an object, a hold."""
    figures = []
    with tempfile.TemporaryDirectory(prefix="trainyard-bench-") as folder, _server(Path(folder, "objects")) as endpoint:
        for shape in SHAPES:
            bucket = Path(folder, "objects", shape.name)
            _fill(bucket, shape)
            ref = StoreRef("s3", shape.name, endpoint)
            figures += _figures(DatasetCache(Workspace(Path(folder, "workspace"))), ref, bucket, shape, say)
    return figures


def _figures(cache: DatasetCache, ref: StoreRef, bucket: Path, shape: Shape, say: Say) -> list[Figure]:
    first, cold, _ = _obtain(cache, ref, 0)
    say(f"{shape.reported}: the first run took {cold:.2f} s")
    seconds, listing, percents = [], [], []
    for number in range(1, RUNS + 1):
        dataset, taken, counted = _obtain(cache, ref, number)
        if not dataset.hit:
            raise RuntimeError("the bucket did not change, and yet it was downloaded")
        seconds.append(taken)
        listing.append(counted.listing_seconds)
        percents.append(100 * counted.moved / first.bytes)
    say(f"{shape.reported}: {RUNS} more runs took {sum(seconds):.2f} s")
    changed, taken, counted = _after_a_change(cache, ref, bucket)
    return [
        Figure(f"first run on {shape.reported}", [cold], "s"),
        Figure(f"run on {shape.reported} from the cache", seconds, "s", goal=1, goal_percentile=95),
        Figure(f"of that, the server's listing of {shape.reported}", listing, "s"),
        Figure(f"bytes moved for it, of {shape.reported}", percents, "%", goal=1),
        Figure(f"run on {shape.reported} with one changed", [taken], "s"),
        Figure(f"bytes downloaded for it, of {shape.reported}", [100 * changed.downloaded_bytes / changed.bytes], "%"),
        Figure(f"objects asked for, of {shape.reported}", [len(counted.objects)], ""),
    ]


def _after_a_change(cache: DatasetCache, ref: StoreRef, bucket: Path) -> tuple[Dataset, float, Counting]:
    file = bucket / "data" / "0001"
    file.write_bytes(b"!" + file.read_bytes()[1:])
    time.sleep(1)  # the server looks at its folder after a moment
    return _obtain(cache, ref, RUNS + 1)


def _obtain(cache: DatasetCache, ref: StoreRef, number: int) -> tuple[Dataset, float, Counting]:
    begun = time.perf_counter()
    settings = read_settings({})
    counted = Counting(open_store(ref, Credentials(_KEY, _SECRET), settings, ANYWHERE))
    store: Store = counted
    dataset = cache.obtain(ref, store, f"training-{number:09}", settings.transfer_threads, _nothing)
    return dataset, time.perf_counter() - begun, counted


def _nothing(_: str) -> None:
    pass


def _fill(bucket: Path, shape: Shape) -> None:
    (bucket / "data").mkdir(parents=True)
    noise = os.urandom(_CHUNK)
    for number in range(shape.files):
        with (bucket / "data" / f"{number:04}").open("wb") as file:
            file.write(number.to_bytes(4, "big"))
            for start in range(4, shape.size, _CHUNK):
                file.write(noise[: min(_CHUNK, shape.size - start)])


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    folder.mkdir()
    port = pick_port(0)
    # Alone it would digest every object again at every listing, which no object store does.
    kept = Path(f":hasher,remote={folder},hashes=md5,max_age=off:")
    cache = ["--cache-dir", str(folder.with_name("digests"))]
    server = subprocess.Popen(
        [*objectstore_command(find_rclone(), kept, port), *cache],
        env=objectstore_environment(os.environ, _KEY, _SECRET),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    endpoint = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(endpoint, 20, lambda: server.poll() is None)
        yield endpoint
    finally:
        server.terminate()
        server.wait(30)
