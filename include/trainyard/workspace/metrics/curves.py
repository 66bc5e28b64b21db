"""Curves that keep their shape in little room: of each bucket of points the first, the last and both extremes."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from math import inf, isfinite, isnan, nan
from typing import Any, NamedTuple

MAX_CURVES = 1000
MAX_NAME_LENGTH = 200
# Points of one curve, and of all curves of a run: 32 bytes each, in memory and on disk.
MAX_POINTS = 10_000
MAX_ALL_POINTS = 200_000
_MIN_POINTS = 64
# Ordinal, step, time and value of a point; the time is NaN where there is none.
_WIDTH = 4
_PER_BUCKET = 4


class Point(NamedTuple):
    """A value at a step. `time` is in seconds since the epoch; `at` counts all points of the run in reading order."""

    at: float
    step: float
    time: float | None
    value: float


class Seen(NamedTuple):
    """A value as it was read; without a step it counts its curve's points."""

    name: str
    step: float | None
    time: float | None
    value: float


Row = tuple[float, float, float, float]


@dataclass
class Curve:
    """The points of one metric from one source.

    Closed buckets stand in `points`, each of `size` points that were seen. Of the `opened` ones of the newest bucket
    `open` has the first, the lowest, the highest and the last. While `size` is 1 every point is kept.
    """

    name: str
    source: str
    count: int = 0
    not_finite: int = 0
    size: int = 1
    points: array[float] = field(default_factory=lambda: array("d"))
    open: list[Row] = field(default_factory=list)
    opened: int = 0

    def add(self, at: int, step: float | None, time: float | None, value: float, room: int) -> None:
        """Add a point; a value that is not finite is counted alone. `room` is how many points are kept at most."""
        if not isfinite(value):
            self.not_finite += 1
            return
        self.count += 1
        row = (at, self.count if step is None or not isfinite(step) else step, nan if time is None else time, value)
        if self.size > 1:
            self._into_open(row)
            if self.opened < self.size:
                return
            self._close()
        else:
            self.points.extend(row)
        if len(self.points) >= room * _WIDTH:
            self.shrink(room)

    def _into_open(self, row: Row) -> None:
        self.opened += 1
        if not self.open:
            self.open = [row, row, row, row]
            return
        kept, value = self.open, row[3]
        kept[3] = row
        if value < kept[1][3]:
            kept[1] = row
        elif value > kept[2][3]:
            kept[2] = row

    def _close(self) -> None:
        for row in sorted(self.open):
            self.points.extend(row)
        self.open, self.opened = [], 0

    def shrink(self, room: int) -> None:
        """Put buckets together until the points take less than that room."""
        while len(self.points) >= room * _WIDTH:
            # A bucket of 8 points is the first that is smaller than what it stands for.
            factor, each = (8, 1) if self.size == 1 else (2, _PER_BUCKET)
            group = factor * each * _WIDTH
            end = len(self.points) // group * group
            left, newest = self.points[end:], self.open
            opened = self.opened + len(left) // _WIDTH // each * self.size
            shaped = array("d")
            for start in range(0, end, group):
                shaped.extend(_shape(self.points[start : start + group]))
            self.points, self.open = shaped, []
            for row in (*rows_of(left), *newest):
                self._into_open(row)
            self.size, self.opened = self.size * factor, opened

    def rows(self) -> list[Point]:
        """Return the points that are kept, in the order they were read."""
        # A point that is first and lowest stands there twice.
        once = {row[0]: row for row in (*rows_of(self.points), *sorted(self.open))}
        return [Point(at, step, None if isnan(time) else time, value) for at, step, time, value in once.values()]

    @property
    def last(self) -> Point | None:
        row = self.open[3] if self.open else next(rows_of(self.points[-_WIDTH:]), None)
        return Point(row[0], row[1], None if isnan(row[2]) else row[2], row[3]) if row else None

    def extremes(self) -> tuple[Point, Point] | None:
        """Return the points with the lowest and the highest value; the earliest of several."""
        return extremes_of(self.rows())

    def kept(self) -> int:
        return len(self.points) // _WIDTH + len(self.open)


def rows_of(points: array[float]) -> Iterator[Row]:
    """Yield the points that stand one behind another."""
    return zip(*(points[at::_WIDTH] for at in range(_WIDTH)), strict=True)


def _shape(points: array[float]) -> array[float]:
    """Return first, lowest, highest and last of some points in their order; always four rows."""
    values = points[3::_WIDTH]
    last = len(values) - 1
    low, high = values.index(min(values)), values.index(max(values))
    shaped = array("d")
    for at in (0, min(low, high), max(low, high), last):
        shaped.extend(points[at * _WIDTH : (at + 1) * _WIDTH])
    return shaped


def extremes_of(rows: list[Point]) -> tuple[Point, Point] | None:
    """Return the points with the lowest and the highest value; the earliest of several."""
    if not rows:
        return None
    values = [row.value for row in rows]
    return rows[values.index(min(values))], rows[values.index(max(values))]


def thinned(rows: list[Point], most: int) -> list[Point]:
    """Return at most so many points: the first, the last, and of each bucket its extremes."""
    if len(rows) <= most:
        return rows
    values, last, buckets = [row.value for row in rows], len(rows) - 1, (most - 2) // 2
    chosen = {0, last}
    for bucket in range(buckets):
        start, end = 1 + bucket * (last - 1) // buckets, 1 + (bucket + 1) * (last - 1) // buckets
        span = values[start:end]
        chosen |= {start + span.index(min(span)), start + span.index(max(span))}
    return [rows[at] for at in sorted(chosen)][-most:]


@dataclass
class Curves:
    """All curves of a run, by source and name; `seen` counts the points of all."""

    by_key: dict[tuple[str, str], Curve] = field(default_factory=dict)
    seen: int = 0
    refused: int = 0
    room: int = MAX_POINTS

    def add(self, source: str, point: Seen) -> None:
        """Add a point to its curve; points of more names than there may be are counted alone."""
        curve = self.by_key.get((source, point.name))
        if curve is None:
            curve = self._new(source, point.name)
            if curve is None:
                self.refused += 1
                return
        self.seen += 1
        curve.add(self.seen, point.step, point.time, point.value, self.room)

    def _new(self, source: str, name: str) -> Curve | None:
        if len(self.by_key) >= MAX_CURVES:
            return None
        curve = Curve(name, source)
        self.put(curve)
        return curve

    def put(self, curve: Curve) -> None:
        """Take a curve in; all get along with less room once there are twice as many."""
        self.by_key[curve.source, curve.name] = curve
        many = 1 << (len(self.by_key) - 1).bit_length()
        room = max(_MIN_POINTS, min(MAX_POINTS, MAX_ALL_POINTS // many))
        if room < self.room:
            self.room = room
            for other in self.by_key.values():
                other.shrink(room)


def named(*parts: str) -> str:
    """Return the name of a curve, bounded in length, in characters that every file and answer can hold."""
    # A cut one is kept in mind with all of its text otherwise.
    return _named(tuple(part[: MAX_NAME_LENGTH + 1] for part in parts))


@lru_cache(maxsize=4096)
def _named(parts: tuple[str, ...]) -> str:
    text = "/".join(part for part in parts if part)
    return text[:MAX_NAME_LENGTH].encode("utf-8", "replace").decode()


def number(value: Any) -> float | None:
    """Return a value as a number, None for what is none; texts such as `0.91` and `NaN` are numbers too."""
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError:
            return inf
    if isinstance(value, str) and len(value) < 64:
        try:
            return float(value)
        except ValueError:
            return None
    return None
