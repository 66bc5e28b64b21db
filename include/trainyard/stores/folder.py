"""Buckets that are folders of this machine."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from trainyard.domain.digest import CHUNK, chunks, md5_of
from trainyard.domain.training import StoreRef
from trainyard.errors import TrainyardError
from trainyard.stores.base import Entry, MovesWhole, Store, Why, check_key
from trainyard.stores.refusals import place_of, refusal
from trainyard.stores.tree import move_inside, open_inside, unlink_inside

_PARTS = ".trainyard-parts"


def open_folder(ref: StoreRef, allowed: str) -> Store:
    """Return the bucket `file:///folder` + `/bucket`.

    Raise TrainyardError C101 unless the folder lies in the allowed one: a manifest must not read the machine's files.
    """
    root = Path(unquote(urlsplit(ref.endpoint).path)).resolve()
    folder = (root / ref.bucket).resolve()
    inside = bool(allowed) and all(path.is_relative_to(Path(allowed).resolve()) for path in (root, folder))
    if not inside or check_key(ref.bucket) != Path(ref.bucket).name:
        raise TrainyardError("C101", f"{ref.endpoint} is not open to trainings", "Use an s3 store.")
    return FolderStore(folder, ref)


class FolderStore(MovesWhole):
    """A bucket in a folder. Listing reads the files, since a folder knows no digests; links in it are no objects."""

    def __init__(self, folder: Path, ref: StoreRef) -> None:
        self.place = place_of(ref)
        self._folder = folder

    def list(self, prefix: str = "", after: str = "") -> Iterator[Entry]:
        with self._refusals("list"):
            if not self._folder.is_dir():
                raise refusal(Why.NO_BUCKET, self.place, "list")
            for key in sorted(key for key in _keys(self._folder) if key.startswith(prefix)):
                if not after or key > after:
                    yield self._entry(key)

    def get(self, key: str, into: BinaryIO) -> Entry:
        with self._refusals("read from", key), open_inside(self._folder, check_key(key)) as file:
            for chunk in chunks(file, CHUNK):
                into.write(chunk)
            return _entry_of(key, file)

    def put(self, key: str, source: BinaryIO, size: int) -> Entry:
        check_key(key)
        source.seek(0)
        with self._refusals("write to", key):
            if not self._folder.is_dir():
                raise refusal(Why.NO_BUCKET, self.place, "write to")
            aside = self._folder.parent / _PARTS
            aside.mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(dir=aside) as made:
                part = Path(made, "part")
                self._fill(part, source, size)
                move_inside(part, self._folder, key)
            return self._entry(key)

    def delete(self, key: str) -> None:
        path = self._path(key)
        with self._refusals("delete from", key):
            if not self._folder.is_dir():
                raise refusal(Why.NO_BUCKET, self.place, "delete from")
            with suppress(FileNotFoundError):
                unlink_inside(self._folder, key)
        # A folder that is left empty is no object, and would be in the way of a file of its name. One that somebody
        # gave the sticky bit is to stay.
        with suppress(OSError):
            for parent in path.parents:
                if parent == self._folder or parent.stat().st_mode & stat.S_ISVTX:
                    break
                parent.rmdir()

    def _path(self, key: str) -> Path:
        return self._folder / check_key(key)

    def _entry(self, key: str) -> Entry:
        with open_inside(self._folder, check_key(key)) as file:
            return _entry_of(key, file)

    def _fill(self, part: Path, source: BinaryIO, size: int) -> None:
        with part.open("wb") as file:
            for chunk in chunks(source, CHUNK):
                file.write(chunk)
            if file.tell() != size:
                raise refusal(Why.BROKEN, self.place, "write to", detail=f"{file.tell()} of {size} bytes arrived")

    @contextmanager
    def _refusals(self, doing: str, key: str = "") -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise refusal(Why.NO_KEY if self._folder.is_dir() else Why.NO_BUCKET, self.place, doing, key) from None
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            detail = "a name cannot be a file and a folder at once"
            raise refusal(Why.BAD_KEY, self.place, doing, key, detail) from None
        except PermissionError:
            raise refusal(Why.FORBIDDEN, self.place, doing, key) from None


def _keys(folder: Path) -> Iterator[str]:
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            if path.is_file() and not path.is_symlink():
                yield path.relative_to(folder).as_posix()


def _entry_of(key: str, file: BinaryIO) -> Entry:
    digest = md5_of(file)
    return Entry(key, os.fstat(file.fileno()).st_size, digest, digest)
