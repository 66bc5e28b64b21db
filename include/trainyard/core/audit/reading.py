"""Reading the audit log back, the newest event first, however large it is: a block of each file at a time."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import chain, groupby, islice
from pathlib import Path

from trainyard.core.accounts import Caller, only_admins
from trainyard.core.audit.event import MAX_LINE_BYTES, Action, Event, compact, event_of
from trainyard.core.audit.files import LogFile, log_files
from trainyard.core.audit.recording import NO_AUDIT, Audit
from trainyard.errors import TrainyardError

_BLOCK = 64 * 1024


@dataclass(frozen=True)
class Query:
    """Which events are wanted: from `since` up to but without `until`; texts have to be the same, empty ones any."""

    since: float | None = None
    until: float | None = None
    actor: str = ""
    action: str = ""
    run: str = ""
    account: str = ""
    result: str = ""

    def takes(self, event: Event) -> bool:
        in_time = (self.since is None or event.time >= self.since) and (self.until is None or event.time < self.until)
        return in_time and all(getattr(event, name) == text for name, text in self._texts())

    def may_be_in(self, line: bytes) -> bool:
        """Say whether a line is worth parsing, at a tenth of the cost of doing so."""
        return all(compact({name: text})[1:-1].encode() in line for name, text in self._texts())

    def touches(self, day: date) -> bool:
        since, until = (None if each is None else _day(each) for each in (self.since, self.until))
        return (since is None or day >= since) and (until is None or day <= until)

    def _texts(self) -> list[tuple[str, str]]:
        names = ("actor", "action", "run", "account", "result")
        return [(name, text) for name in names if (text := getattr(self, name))]


@dataclass(frozen=True)
class Trail:
    """The use case over the log's folder, which is None where the log goes to standard output."""

    folder: Path | None
    audit: Audit = NO_AUDIT

    def page(self, caller: Caller, query: Query, limit: int, offset: int) -> tuple[list[Event], bool]:
        """Return a page of the wanted events, the newest first, and whether there are more.

        Raise C106 for anybody but an admin, and C107 where there is no file to read.
        """
        with self.audit.refusals(caller, Action.READ_AUDIT):
            only_admins(caller, "reads the audit log")
            if self.folder is None:
                hint = "It goes to the standard output of the service's processes: look where their output is kept."
                raise TrainyardError("C107", "this service keeps no audit log in files", hint)
            found = list(islice(newest(self.folder, query), offset, offset + limit + 1))
            return found[:limit], len(found) > limit


def newest(folder: Path, query: Query) -> Iterator[Event]:
    """Yield the wanted events, the newest first; lines that are no events are passed over."""
    days = groupby(log_files(folder), key=lambda file: file.day)
    for day, files in days:
        if query.touches(day):
            yield from _of_day(folder, list(files), query)


def _of_day(folder: Path, files: Sequence[LogFile], query: Query) -> Iterator[Event]:
    hosts = [list(each) for _, each in groupby(files, key=lambda file: file.host)]
    streams = [_of_host([folder / file.name for file in each], query) for each in hosts]
    return heapq.merge(*streams, key=lambda event: event.time, reverse=True)


def _of_host(paths: Sequence[Path], query: Query) -> Iterator[Event]:
    for line in chain.from_iterable(map(lines_backwards, paths)):
        if query.may_be_in(line) and (event := event_of(line)) and query.takes(event):
            yield event


def lines_backwards(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file from its end, without their ends; longer ones than an event may have are left out.

    The file is open only while a block is read: a day may have files of many hosts.
    """
    try:
        place = path.stat().st_size
    except OSError:  # it went meanwhile
        return
    rest = b""
    while place:
        length = min(_BLOCK, place)
        place -= length
        first, *lines = (_block(path, place, length) + rest).split(b"\n")
        yield from (line for line in reversed(lines) if 0 < len(line) < MAX_LINE_BYTES)
        # Of a line without an end no more is kept than shows that it is too long.
        rest = first[:MAX_LINE_BYTES]
    if 0 < len(rest) < MAX_LINE_BYTES:
        yield rest


def _block(path: Path, place: int, length: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(place)
            return file.read(length)
    except OSError:
        return b""


def _day(moment: float) -> date:
    return datetime.fromtimestamp(moment, UTC).date()
