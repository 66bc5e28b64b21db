"""Read a run's metrics on from where the last reading ended, whatever its program has written there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import BinaryIO, TypeVar

from trainyard.domain.metricrules import MetricRules
from trainyard.stores.tree import open_inside
from trainyard.workspace.layout import RunFolder
from trainyard.workspace.metrics import summaries, wholes
from trainyard.workspace.metrics.curves import Seen
from trainyard.workspace.metrics.files import Place, Sources, lines, sources
from trainyard.workspace.metrics.lines import read_line
from trainyard.workspace.metrics.logtext import SOURCE as LOG
from trainyard.workspace.metrics.logtext import LogPatterns
from trainyard.workspace.metrics.state import MetricsState

Clock = Callable[[], float]
T = TypeVar("T")
# How often the time is looked at, in lines or records.
_LOOK = 64
_MAX_UNREAD = 50
_MAX_PLACES = 2000


@dataclass
class Reading:
    """One reading of a run's files, for so many seconds at most; `whole` says that nothing is written any more.

    `moved` says whether anything was read; `spent` whether the time has not sufficed.
    """

    run: RunFolder
    rules: MetricRules
    state: MetricsState
    seconds: float
    whole: bool = False
    clock: Clock = time.time
    monotonic: Clock = time.monotonic
    moved: bool = False
    spent: bool = False
    _until: float = field(default=0.0, init=False)

    def read(self) -> None:
        """Read every source for its share of the time; what is left is for the next reading."""
        found, end = sources(self.run.root, self.rules), self.monotonic() + self.seconds
        jobs = list(self._jobs(found))
        for at, job in enumerate(jobs):
            left = max(end - self.monotonic(), 0.0)
            # Each has its share, so that a log of gigabytes keeps nobody else waiting.
            self._until = self.monotonic() + left / (len(jobs) - at)
            with suppress(OSError):  # it is no file, or no more
                job()
        for sentence in self.rules.warnings:
            self.state.warn(sentence)

    def _jobs(self, found: Sources) -> Iterator[Callable[[], None]]:
        for name in found.lines:
            yield partial(self._read, name, self._lines)
        for name, group in found.summaries:
            yield partial(self._read, name, partial(self._records, group=group))
        for whole, kind in ((found.val_dicts, wholes.VAL_DICTS), (found.trainer_state, wholes.TRAINER_STATE)):
            if whole:
                # By its kind: each of a trainer's checkpoints has a longer one than the one before.
                yield partial(self._read, whole, partial(self._entries, kind=kind), f"{kind}:")
        if self.rules.patterns:
            yield partial(self._read, self.rules.log, self._log)

    def _read(self, name: str, how: Callable[[BinaryIO, Place, int, str], None], key: str = "") -> None:
        with open_inside(self.run.root, name) as file:
            place = self._place(key or name)
            before, size = place.at, place.follow(file)
            how(file, place, size, name)
            place.note(file)
            self.moved = self.moved or place.at != before

    def _place(self, key: str) -> Place:
        places = self.state.places
        if key not in places and len(places) >= _MAX_PLACES:
            self.state.warn(f"more than {_MAX_PLACES} files have metrics; the others are not read")
            raise FileNotFoundError(key)
        return places.setdefault(key, Place())

    def _lines(self, file: BinaryIO, place: Place, size: int, name: str) -> None:
        for line in self._while_time(lines(file, place, size, self.whole)):
            try:
                found = None if line is None else read_line(line)
            except ValueError:
                self._unread(name)
                continue
            if found:
                self._add(found.source, found.points)
                self._reached(found.step, found.points[0].time if found.points else None, found.total)
            elif line is None:
                self._unread(name)

    def _records(self, file: BinaryIO, place: Place, size: int, name: str, group: str) -> None:
        if place.damaged:
            return
        try:
            for after, record in self._while_time(summaries.records(file, place.at, size)):
                place.at = after
                with suppress(ValueError):
                    points = summaries.scalars(record, group) if record else []
                    self._add(summaries.SOURCE, points)
                    if points:
                        self._reached(points[0].step, points[0].time, None)
        except summaries.DamagedError:
            place.damaged = True
            self._unread(name)

    def _entries(self, file: BinaryIO, place: Place, size: int, name: str, kind: str) -> None:
        changed = os.fstat(file.fileno()).st_mtime
        if (changed, size) == (place.changed, place.size):
            return
        if size > wholes.MAX_BYTES:
            self.state.warn(f"{name} is larger than {wholes.MAX_BYTES} bytes and is not read")
            return
        file.seek(0)
        text = file.read(size).decode(errors="replace")
        with suppress(ValueError):  # written at this very moment, or broken: it is read again once it has changed
            whole = wholes.read(kind, text)
            if sum(1 for _ in islice(whole.entries, place.entries)) < place.entries:  # the program has started again
                place.entries, whole = 0, wholes.read(kind, text)
            self._reached(whole.step, None, whole.total)
            for entry in whole.entries:
                self._add(kind, wholes.points(entry))
                place.entries, self.moved = place.entries + 1, True
        place.changed, place.size = changed, size

    def _log(self, file: BinaryIO, place: Place, size: int, name: str) -> None:  # noqa: ARG002 - as the others
        patterns = LogPatterns(self.rules.patterns, (line.encode("latin-1") for line in self.state.window))
        for line in self._while_time(lines(file, place, size, self.whole, returns=True)):
            for point in patterns.read(line or b""):
                self._add(LOG, [point])
                if point.step is not None:
                    self._reached(point.step, None, None)
        self.state.window = [line.decode("latin-1") for line in patterns.window]

    def _while_time(self, items: Iterable[T]) -> Iterator[T]:
        for count, item in enumerate(items, start=1):
            yield item
            if count % _LOOK == 0 and self.monotonic() > self._until:
                self.spent = True
                return

    def _add(self, source: str, points: Iterable[Seen]) -> None:
        for point in points:
            self.state.curves.add(source, point)

    def _reached(self, step: float | None, when: float | None, total: float | None) -> None:
        self.state.progress.reached(step, when, total, self.clock())

    def _unread(self, name: str) -> None:
        unread = self.state.unread
        if name in unread or len(unread) < _MAX_UNREAD:
            unread[name] = unread.get(name, 0) + 1
