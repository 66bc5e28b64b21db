"""Data in the stores that a service keeps for people: put there from a folder, listed, removed, without their keys."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock
from typing import TypeVar

from trainyard.answers.service import StoredObject
from trainyard.client.errors import UnreachableError, WrongUsageError
from trainyard.client.localfiles import Content, LocalFile, StoppedError, digest_of, files_below
from trainyard.client.rest import RestClient
from trainyard.client.waiting import pauses
from trainyard.domain.digest import multipart_etag, plain_md5
from trainyard.domain.objectkeys import fault_of_new_key
from trainyard.errors import TrainyardError

T = TypeVar("T")
# Of an account, a service has four requests at a time wait for its stores; one is left to others.
_THREADS = 3
_ATTEMPTS = 5
# Of the account's other requests, and of the store.
_TRANSIENT = ("C115", "S302", "S306", "S500")
_DEFAULT = "local"
_HINT = "Name it as BUCKET, BUCKET/PREFIX or STORE/BUCKET/PREFIX; `trainyard store list` shows the stores there are."
# Shows how much of so many bytes has gone, if anybody is to see it.
Bar = Callable[[int], AbstractContextManager[Callable[[int], object] | None]]


@dataclass(frozen=True)
class Place:
    """Where data is: a bucket of a store, or what is below a prefix of it, which ends with `/` unless it is empty."""

    store: str
    bucket: str
    prefix: str = ""

    def __str__(self) -> str:
        return f"{self.store}/{self.bucket}/{self.prefix}".rstrip("/")


@dataclass(frozen=True)
class Stored:
    """What `put` has done: how many files and bytes lie there now, and how many of them it had to send."""

    place: str
    files: int
    bytes: int
    sent_files: int
    sent_bytes: int


class Data:
    """Data in the stores that are kept for the caller and their accounts.

    A place is `BUCKET`, `BUCKET/PREFIX` or `STORE/BUCKET/PREFIX`; without a store it is `local`, or the only one there
    is. Every method raises TrainyardError for what the service or the store refuses, and WrongUsageError for a place or
    a file that cannot be.
    """

    def __init__(self, service: RestClient) -> None:
        self._service = service

    def place(self, text: str, account: str | None = None) -> Place:
        """Read a place; raise WrongUsageError for one that names no bucket, or no store where there are several."""
        words = text.removesuffix("/").split("/")
        names = [store.name for store in self._service.stores() if account is None or store.account in (None, account)]
        if words[0] in names and len(words) > 1:
            store, bucket, *below = words
        else:
            bucket, *below = words
            store = _only(names, text)
        prefix = "".join(f"{word}/" for word in below)
        if not bucket or (prefix and fault_of_new_key(f"{prefix}x")):
            raise WrongUsageError(f"{text!r} is no place in a store", _HINT)
        return Place(store, bucket, prefix)

    def put(
        self, source: str | os.PathLike[str], place: str | Place, *, account: str | None = None, bar: Bar | None = None
    ) -> Stored:
        """Store a folder's files below a place, or one file; what lies there with the same content is not sent again.

        Each is stored whole or not at all. Nothing is removed. Raise WrongUsageError before anything is sent where a
        file cannot be an object.
        """
        where = place if isinstance(place, Place) else self.place(place, account)
        files = files_below(Path(source), where.prefix)
        there = {each.key: each for each in self.list(where, account=account)}
        missing = [file for file in files if not _is_there(file, there.get(file.key))]
        with bar(sum(file.size for file in missing)) if bar else nullcontext() as shown:
            sums = _Sums(shown)
            _each(missing, lambda file, stop: self._send(where, file, account, sums, stop))
        total, sent = sum(file.size for file in files), sum(file.size for file in missing)
        return Stored(str(where), len(files), total, len(missing), sent)

    def list(self, place: str | Place, *, account: str | None = None) -> Iterator[StoredObject]:
        """Yield the objects at a place in the order of their keys, with `key`, `size`, `etag` and `md5`.

        Below a prefix, and the object of that very name.
        """
        where = place if isinstance(place, Place) else self.place(place, account)
        exact = where.prefix.removesuffix("/")
        for found in self._service.objects.objects(where.store, where.bucket, exact, account):
            if not exact or found.key == exact or found.key.startswith(where.prefix):
                yield found

    def remove(self, place: str | Place, *, account: str | None = None) -> Sequence[StoredObject]:
        """Remove what `list` lists, and return it."""
        where = place if isinstance(place, Place) else self.place(place, account)
        found = [*self.list(where, account=account)]
        self.remove_objects(where, [each.key for each in found], account)
        return found

    def remove_objects(self, where: Place, keys: Sequence[str], account: str | None = None) -> None:
        """Remove objects by their keys; those that are not there are fine."""

        def remove(key: str, stop: Event) -> None:
            _patiently(lambda: self._service.objects.remove(where.store, where.bucket, key, account), stop)

        _each(keys, remove)

    def _send(self, where: Place, file: LocalFile, account: str | None, sums: _Sums, stop: Event) -> None:
        digest, content = digest_of(file), Content(file, sums.hear, stop)
        try:
            _patiently(
                lambda: self._service.objects.put(
                    where.store, where.bucket, file.key, content, file.size, digest, account
                ),
                stop,
            )
        except OSError as error:
            raise WrongUsageError(f"{file.path} cannot be read: {error.strerror}", "Check it and its rights.") from None


class _Sums:
    """How many bytes of all files have gone; what is sent again does not count twice."""

    def __init__(self, show: Callable[[int], object] | None) -> None:
        self._show, self._gone, self._lock = show, dict[str, int](), Lock()
        self._sum = 0

    def hear(self, file: LocalFile, gone: int) -> None:
        if self._show is None:
            return
        with self._lock:
            self._sum += gone - self._gone.get(file.key, 0)
            self._gone[file.key] = gone
            self._show(self._sum)


def _only(names: Sequence[str], text: str) -> str:
    """Return the store of a place that names none."""
    if _DEFAULT in names:
        return _DEFAULT
    if len(set(names)) == 1:
        return names[0]
    if not names:
        raise WrongUsageError("no store is kept for you", "Keep one with `trainyard store add NAME --endpoint URL`.")
    raise WrongUsageError(f"{text!r} does not say which of your stores it is in", _HINT)


def _is_there(file: LocalFile, found: StoredObject | None) -> bool:
    """Say whether an object has a file's content, as far as the store says; what it does not report is sent again."""
    if found is None or found.size != file.size:
        return False
    digest = found.md5 or plain_md5(found.etag)
    if digest:
        return digest == digest_of(file).hex()
    with file.path.open("rb") as opened:
        return bool(found.etag) and multipart_etag(opened, file.size) == found.etag


def _patiently(action: Callable[[], object], stop: Event) -> None:
    """Do something again that failed for a reason that passes; every attempt has the same effect."""
    for pause, _ in zip(pauses(0.5), range(_ATTEMPTS - 1), strict=False):
        try:
            action()
        except (UnreachableError, TrainyardError) as error:
            if error.code.code not in _TRANSIENT or stop.is_set():
                raise
            stop.wait(pause)
        else:
            return
    action()


def _each(things: Sequence[T], action: Callable[[T, Event], object]) -> None:
    """Do something with each, a few at a time; the first failure, or Ctrl-C, ends the others and is raised."""
    stop = Event()

    def one(thing: T) -> None:
        if stop.is_set():
            return
        try:
            action(thing, stop)
        except StoppedError:
            return
        except BaseException:
            stop.set()
            raise

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="data") as pool:
        try:
            futures = [pool.submit(one, thing) for thing in things]
            for future in futures:
                future.result()
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
