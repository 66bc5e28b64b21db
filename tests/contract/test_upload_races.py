"""A program that swaps its files for links, pipes and devices while they are stored: nothing of others is read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from threading import Event, Thread

import pytest

from trainyard.domain.digest import MIB
from trainyard.steps.results import Layout
from trainyard.stores.base import FileShrankError, Store
from trainyard.stores.links import Ground
from trainyard.stores.transfer import upload
from trainyard.stores.tree import open_inside, scan

_OWN, _SECRET = b"own data", b"a secret"
_SIZES = {"small": 8, "large": 20 * MIB}
_UPLOADS = 3


def fill(folder: Path, content: bytes) -> None:
    (folder / "inner").mkdir(parents=True)
    for name, size in _SIZES.items():
        for place in (folder, folder / "inner"):
            (place / name).write_bytes(content * (size // len(content)))


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    fill(tmp_path / "outside", _SECRET)
    (tmp_path / "outside" / "inner" / "only outside").touch()
    return tmp_path / "outside"


@pytest.fixture
def result(tmp_path: Path) -> Path:
    fill(tmp_path / "run" / "result", _OWN)
    return tmp_path / "run" / "result"


@contextmanager
def swapped_again_and_again(result: Path, outside: Path) -> Iterator[None]:
    """Put something else in the place of each file and folder, and the thing itself back, as fast as can be."""
    over = Event()
    thread = Thread(target=_swap, args=(result, outside, over))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _swap(result: Path, outside: Path, over: Event) -> None:
    aside = result.parent / "aside"
    impostors = cycle(("link", "pipe", "device"))
    for name in cycle(("small", "large", "inner", "inner/small", "inner/large")):
        if over.is_set():
            return
        place = result / name
        place.rename(aside)
        _put(next(impostors) if place.name != "inner" else "link", place, outside / name)
        place.unlink()
        aside.rename(place)


def _put(kind: str, place: Path, target: Path) -> None:
    if kind == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to("/dev/zero" if kind == "device" else target)


def contents(store: Store, folder: Path) -> Iterator[bytes]:
    for entry in store.list():
        with (folder / "got").open("w+b") as into:
            store.get(entry.key, into)
            into.seek(0)
            yield into.read()


@pytest.mark.parametrize("shared", [False, True], ids=["results", "checkpoints"])
def test_only_files_of_the_run_are_stored_whatever_is_put_in_their_place_meanwhile(
    bucket, result, outside, tmp_path, shared
):
    if bucket.ref.kind == "memory":
        pytest.skip("no program sees it")
    store = replace(bucket, options={**bucket.options, "TRAINYARD_SWIFT_SEGMENT_BYTES": "8MiB"}).open()
    with swapped_again_and_again(result, outside):
        for _ in range(_UPLOADS):
            layout = Layout()
            layout.add_folder(layout.results, Ground(result.parent, (result.name,)), result.name, str)
            with suppress(FileNotFoundError, FileShrankError):
                upload(store, layout.results, "", 4, lambda _: None, shared=shared)
            assert not [note for note in layout.notes if "only outside" in note]
            assert not [1 for data in contents(store, tmp_path) if _SECRET in data]
    assert {source.key for source in layout.results} <= {"small", "large", "inner/small", "inner/large"}


def test_a_file_is_opened_as_itself_or_not_at_all(result, outside):
    opened = refused = 0
    with swapped_again_and_again(result, outside):
        while not (opened > 200 and refused > 200):
            for name in ("small", "inner/small"):
                try:
                    with open_inside(result, name) as file:
                        assert file.read(8) == _OWN
                    opened += 1
                except FileNotFoundError:
                    refused += 1


def test_a_folder_that_becomes_a_link_while_it_is_listed_shows_nothing_of_the_other_side(result, outside):
    seen = set()
    with swapped_again_and_again(result, outside):
        for _ in range(3000):
            found = scan(result)
            seen |= found.files.keys() | found.others.keys()
    assert {"small", "inner/small"} <= seen <= {"small", "large", "inner", "inner/small", "inner/large"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes device files")
def test_a_device_file_is_not_opened(result):
    try:
        os.mknod(result / "device", 0o600 | 0o020000, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("this machine lets nobody make device files")
    assert scan(result).others == {"device": "is a device, no file"}
    with pytest.raises(FileNotFoundError):
        open_inside(result, "device")
