"""Read the watchdogs of a manifest."""

from __future__ import annotations

import re

from trainyard.domain.watchdogs import NO_WATCH, Then, Watch
from trainyard.manifest.document import Path
from trainyard.manifest.masking import brief
from trainyard.manifest.values import Values

WATCH: Path = ("watch",)
_AFTER = re.compile(r"([0-9]{1,6})\s*([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LEAST = 60


def read_watch(values: Values) -> Watch:
    """Return the watchdogs; what is wrong with them becomes faults."""
    if not isinstance(values.document.value(WATCH), dict):
        return NO_WATCH
    factor = values.document.value((*WATCH, "diverging", "factor"))
    return Watch(
        not_a_number=_then(values, "not_a_number"),
        diverging=_then(values, "diverging", "then"),
        metric=values.text((*WATCH, "diverging", "metric")) or "",
        factor=float(factor) if isinstance(factor, int | float) else NO_WATCH.factor,
        silent=_then(values, "silent", "then"),
        silent_seconds=read_after(values, (*WATCH, "silent", "after")),
        longer=_then(values, "longer", "then"),
        longer_seconds=read_after(values, (*WATCH, "longer", "after")),
    )


def _then(values: Values, *keys: str) -> Then | None:
    if values.document.value((*WATCH, keys[0])) is None:
        return None
    text = values.text((*WATCH, *keys))
    return Then(text) if text in list(Then) else Then.WARN


def read_after(values: Values, path: Path) -> float:
    """Return an amount of time in seconds, 0 where none is given or it has a fault, which is noted."""
    text = values.text(path)
    if text is None:
        return 0.0
    match = _AFTER.fullmatch(text.lower())
    seconds = int(match[1]) * _SECONDS[match[2]] if match else 0
    if match is None:
        hint = "Write a number with s, m, h or d, such as 30m."
        values.faults.add(path, f"{path[-1]} cannot be {brief(text)}.", hint)
    elif seconds < _LEAST:
        values.faults.add(path, f"{path[-1]} is under a minute.", "Write 1m or more.")
    return float(seconds)
