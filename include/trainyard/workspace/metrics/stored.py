"""A run's metrics as they lie in its bucket: lines of JSON, first what is known of each metric, then its points."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from typing import Any, BinaryIO

from trainyard.workspace.metrics.curves import MAX_ALL_POINTS, MAX_CURVES, Curve, thinned
from trainyard.workspace.metrics.state import MAX_WARNINGS, MetricsState, Progress

NAME = "metrics.jsonl"
_FORMAT = 1
MAX_BYTES = 64 * 1024 * 1024
# What a line takes beside the metric's name.
_LINE = 120
# No line of ours is longer. What lies in a bucket is its owner's to change, and a line of 64 MiB would unfold to
# gigabytes for a parser.
_MAX_LINE = 128 * 1024


def to_lines(state: MetricsState, most: int = MAX_BYTES) -> Iterator[bytes]:
    """Yield the lines; together they take no more than so many bytes, for which points are left out if need be."""
    curves = list(state.curves.by_key.values())
    yield _line(
        format=_FORMAT,
        generation=state.generation,
        seen=state.curves.seen,
        progress=asdict(state.progress),
        warnings=state.remarks(),
    )
    for curve in curves:
        yield _line(metric=curve.name, source=curve.source, count=curve.count, not_finite=curve.not_finite)
    whole = sum(curve.kept() * _bytes(curve) for curve in curves)
    share = min(1.0, most / whole) if whole else 1.0
    for curve in curves:
        for row in thinned(curve.rows(), max(4, int(curve.kept() * share))):
            yield _line(metric=curve.name, source=curve.source, **row._asdict())


def _bytes(curve: Curve) -> int:
    return _LINE + len(json.dumps(curve.name, ensure_ascii=False).encode())


def _line(**values: Any) -> bytes:
    return json.dumps(values, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def from_file(file: BinaryIO) -> MetricsState:
    """Read them back, as far as they are ours; raise ValueError for what is something else."""
    rows = _lines(file)
    state, kept = _head(next(rows, b"")), 0
    for line in rows:
        data = json.loads(line)
        try:
            if "count" in data:
                curve = Curve(data["metric"], data["source"], int(data["count"]), int(data["not_finite"]))
                if str(curve.name) != curve.name or str(curve.source) != curve.source:
                    raise ValueError("no metric")
                if len(state.curves.by_key) < MAX_CURVES:
                    state.curves.put(curve)
            elif (kept := kept + 1) <= 2 * MAX_ALL_POINTS:
                _put(state.curves.by_key[data["source"], data["metric"]], data)
        except (TypeError, LookupError, OverflowError):
            raise ValueError("no metrics of a run") from None
    state.complete = True
    return state


def _lines(file: BinaryIO) -> Iterator[bytes]:
    for line in iter(partial(file.readline, _MAX_LINE + 1), b""):
        if len(line) > _MAX_LINE:
            raise ValueError("no line of a run's metrics")
        yield line


def _head(line: bytes) -> MetricsState:
    try:
        head = json.loads(line)
        if head["format"] != _FORMAT:
            raise ValueError("metrics of another format")
        progress = {name: None if value is None else _finite(value) for name, value in head["progress"].items()}
        state = MetricsState(progress=Progress(**progress), generation=str(head["generation"])[:20])
        state.warnings = [str(text)[:500] for text in head["warnings"][:MAX_WARNINGS]]
        state.curves.seen = int(head["seen"])
    except (TypeError, LookupError, AttributeError, OverflowError):
        raise ValueError("no metrics of a run") from None
    return state


def _put(curve: Curve, data: dict[str, Any]) -> None:
    time = math.nan if data["time"] is None else _finite(data["time"])
    curve.points.extend((_finite(data["at"]), _finite(data["step"]), time, _finite(data["value"])))


def _finite(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError("no number")
    return float(value)
