"""What is known of a run's metrics between two readings: one file in the workspace, where no program reaches it."""

from __future__ import annotations

import json
import secrets
from array import array
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import chain
from typing import Any

from trainyard.stores.tree import write_inside
from trainyard.workspace.layout import RunFolder
from trainyard.workspace.metrics.curves import Curve, Curves, rows_of
from trainyard.workspace.metrics.files import Place

_FORMAT = 1
MAX_WARNINGS = 20
MAX_SUMMARIES = 100
# A rate over less than this says little.
_MIN_SECONDS = 1.0
# Of several curves of one name, the first of these speaks for it.
_SOURCES = ("jsonl", "evaluation-metrics", "tensorboard", "trainer-state", "val-dict-list", "log")


@dataclass
class Progress:
    """The highest step that the program has reported, and when; `first` is the first that it reported."""

    step: float | None = None
    total: float | None = None
    at: float | None = None
    first: float | None = None
    first_at: float | None = None

    def reached(self, step: float | None, when: float | None, total: float | None, now: float) -> None:
        if total is not None and total > 0:
            self.total = total
        if step is None or (self.step is not None and step <= self.step):
            return
        self.step, self.at = step, now if when is None else when
        if self.first is None:
            self.first, self.first_at = self.step, self.at

    def answer(self, started: float | None, now: float | None) -> dict[str, Any] | None:
        """Return step, total, fraction and the seconds left, None where no step is known.

        `started` is when the program started; `now` is None where it has ended.
        """
        if self.step is None:
            return None
        fraction = min(self.step / self.total, 1.0) if self.total else None
        left = None if now is None else self._seconds_left(started, now)
        return {"step": self.step, "total": self.total, "fraction": fraction, "seconds_left": left}

    def _seconds_left(self, started: float | None, now: float) -> float | None:
        if not self.total or self.step is None or self.first is None or self.at is None:
            return None
        done, seconds = self.step - self.first, self.at - (self.first_at or self.at)
        if seconds < _MIN_SECONDS and started is not None:  # all of it was read at once
            done, seconds = self.step, self.at - started
        if done <= 0 or seconds <= 0:
            return None
        return round(max((self.total - self.step) * seconds / done - (now - self.at), 0.0), 1)


@dataclass
class MetricsState:
    """A run's curves, how far its files are read, and what was odd about them. `complete`: nothing comes any more."""

    curves: Curves = field(default_factory=Curves)
    places: dict[str, Place] = field(default_factory=dict)
    progress: Progress = field(default_factory=Progress)
    unread: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    window: list[str] = field(default_factory=list)
    complete: bool = False
    generation: str = field(default_factory=lambda: secrets.token_hex(4))

    def warn(self, sentence: str) -> None:
        if sentence not in self.warnings and len(self.warnings) < MAX_WARNINGS:
            self.warnings.append(sentence)

    def remarks(self) -> list[str]:
        """Say what was odd: the warnings, lines that could not be read, metrics that were too many."""
        found = [f"{count} lines or records of {name} could not be read" for name, count in self.unread.items()]
        if self.curves.refused:
            found.append(f"{self.curves.refused} points are of more metrics than are kept")
        return [*self.warnings, *found][:MAX_WARNINGS]

    def summary(self) -> dict[str, dict[str, float]]:
        """Return name -> last, lowest and highest value of the first metrics that have any."""
        found: dict[str, dict[str, float]] = {}
        rank = {source: at for at, source in enumerate(_SOURCES)}
        for curve in sorted(self.curves.by_key.values(), key=lambda curve: rank.get(curve.source, len(rank))):
            last, extremes = curve.last, curve.extremes()
            if last and extremes and curve.name not in found and len(found) < MAX_SUMMARIES:
                low, high = extremes
                found[curve.name] = {"last": last.value, "minimum": low.value, "maximum": high.value}
        return found


def save(run: RunFolder, state: MetricsState) -> None:
    """Write the state, and beside it the little that lists show; raise OSError where that cannot be written."""
    curves = list(state.curves.by_key.values())
    head = {
        "format": _FORMAT,
        "generation": state.generation,
        "complete": state.complete,
        "seen": state.curves.seen,
        "refused": state.curves.refused,
        "places": {name: asdict(place) for name, place in state.places.items()},
        "progress": asdict(state.progress),
        "unread": state.unread,
        "warnings": state.warnings,
        "window": state.window,
        "curves": [_head_of(curve) for curve in curves],
    }
    arrays = (part for one in curves for part in (one.points, array("d", chain.from_iterable(one.open))))
    parts: list[Any] = [json.dumps(head).encode(), b"\n", *(memoryview(part) for part in arrays)]
    write_inside(run.root, run.metrics.name, b"".join(parts))
    short = {"metrics": state.summary(), "progress": asdict(state.progress)}
    write_inside(run.root, run.metrics_summary.name, json.dumps(short).encode())


def _head_of(curve: Curve) -> list[Any]:
    sizes = (curve.count, curve.not_finite, curve.size, curve.opened, len(curve.points), len(curve.open))
    return [curve.name, curve.source, *sizes]


def load(run: RunFolder) -> MetricsState | None:
    """Read the state back; None where there is none, or none that can be read."""
    try:
        with run.metrics.open("rb") as file:
            head = json.loads(file.readline())
            if head["format"] != _FORMAT:
                return None
            state = MetricsState(
                places={name: Place(**place) for name, place in head["places"].items()},
                progress=Progress(**head["progress"]),
                **{key: head[key] for key in ("unread", "warnings", "window", "complete", "generation")},
            )
            state.curves.seen, state.curves.refused = head["seen"], head["refused"]
            for name, source, count, not_finite, size, opened, *lengths in head["curves"]:
                curve = Curve(name, source, count, not_finite, size, _array(file, lengths[0]))
                curve.open, curve.opened = list(rows_of(_array(file, 4 * lengths[1]))), opened
                state.curves.put(curve)
    except (OSError, ValueError, TypeError, LookupError, AttributeError, EOFError):
        return None
    return state


def _array(file: Any, length: int) -> array[float]:
    found = array("d")
    found.fromfile(file, length)
    return found


def load_summary(run: RunFolder) -> Mapping[str, Any] | None:
    """Return the newest values of a run's metrics, and its progress, as far as they were read; None without any."""
    try:
        found = json.loads(run.metrics_summary.read_bytes())
        Progress(**found["progress"])
    except (OSError, ValueError, TypeError, LookupError):
        return None
    return found if isinstance(found.get("metrics"), dict) else None
