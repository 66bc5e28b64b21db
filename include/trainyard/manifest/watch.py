"""Read the watchdogs of a manifest, or of an account."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from trainyard.domain.watchdogs import NO_WATCH, Then, Watch
from trainyard.manifest.document import Document, Path
from trainyard.manifest.faults import Faults
from trainyard.manifest.masking import brief
from trainyard.manifest.values import Values

WATCH = "watch"
_TIME = re.compile(r"([0-9]{1,6})\s*([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_MIN_SECONDS = 60


def read_watch(values: Values) -> Watch:
    """Return the watchdogs; what is wrong with them becomes faults."""
    return watch_at((WATCH,), values.document, values.faults)


def watch_at(place: Path, document: Document, faults: Faults) -> Watch:
    """Return the watchdogs that stand at a place of a document; what is wrong with them becomes faults."""
    data = document.value(place)
    if not isinstance(data, dict):
        return NO_WATCH
    diverging = _map(data, "diverging")
    return Watch(
        not_a_number=_then({"then": data["not_a_number"]}) if data.get("not_a_number") else None,
        diverging=_then(diverging),
        metric=str(diverging.get("metric") or "").strip(),
        factor=float(diverging["factor"]) if _is_number(diverging.get("factor")) else NO_WATCH.factor,
        silent=_then(_map(data, "silent")),
        silent_seconds=seconds_at((*place, "silent", "after"), document, faults),
        longer=_then(_map(data, "longer")),
        longer_seconds=seconds_at((*place, "longer", "after"), document, faults),
        gpu_idle=_then(_map(data, "gpu_idle")),
        gpu_idle_seconds=seconds_at((*place, "gpu_idle", "after"), document, faults),
    )


def seconds_at(place: Path, document: Document, faults: Faults) -> float:
    """Return an amount of time in seconds, 0 where none is given or it has a fault, which is noted."""
    text = (document.text(place) or "").strip()
    if not text or place in faults:
        return 0.0
    match = _TIME.fullmatch(text.lower())
    seconds = int(match[1]) * _SECONDS[match[2]] if match else 0
    if match is None:
        hint = "Write a number with s, m, h or d, such as 30m."
        faults.add(place, f"{place[-1]} cannot be {brief(text)}.", hint)
    elif seconds < _MIN_SECONDS:
        faults.add(place, f"{place[-1]} is under a minute.", "Write 1m or more.")
    return float(seconds)


def _map(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = data.get(key)
    return found if isinstance(found, dict) else {}


def _then(data: Mapping[str, Any]) -> Then | None:
    """Return what a watchdog does: it warns where nothing is said; None for one that is not asked for."""
    text = str(data.get("then") or "")
    return None if not data else Then(text) if text in list(Then) else Then.WARN


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
