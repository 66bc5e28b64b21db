"""Moments, spans and amounts as people read them, and the states of a run in words."""

from __future__ import annotations

from datetime import UTC, datetime

_MINUTE, _HOUR, _DAY = 60, 3600, 24 * 3600
_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")
_STATES = {
    "pending": "Pending",
    "running": "Running",
    "completed": "Completed",
    "error": "Failed",
    "canceled": "Canceled",
}


def spoken_state(state: str) -> str:
    """Return a state as people say it."""
    return _STATES.get(state, state)


def sentence(text: str) -> str:
    """Return a message of ours as a sentence: begun with a capital, unless it begins with an id, and ended."""
    first = text.split(" ", 1)[0]
    begun = text[:1].upper() + text[1:] if first.isalpha() else text
    return begun if not text or text[-1] in ".!?" else f"{begun}."


def duration(seconds: float | None) -> str:
    """Return a span such as `3 m 20 s`, of two units at most; empty for none."""
    if seconds is None or seconds < 0:
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    for unit, name, lower, small in ((_DAY, "d", _HOUR, "h"), (_HOUR, "h", _MINUTE, "m"), (_MINUTE, "m", 1, "s")):
        if whole >= unit:
            rest = whole % unit // lower
            return f"{whole // unit} {name} {rest} {small}" if rest else f"{whole // unit} {name}"
    return ""


def ago(moment: float | None, now: float) -> str:
    """Return how long ago a moment was, in one unit."""
    if moment is None:
        return ""
    passed = max(0, int(now - moment))
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if passed >= unit:
            return f"{passed // unit} {name} ago"
    return "just now" if passed < 10 else f"{passed} s ago"


def clock_text(moment: float | None) -> str:
    """Return a moment in UTC, to the second."""
    return "" if moment is None else datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def bytes_text(size: float | None) -> str:
    """Return a size in units of a thousand."""
    if size is None:
        return ""
    value = float(size)
    for unit in _UNITS:
        if value < 1000 or unit == _UNITS[-1]:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return ""


def number(value: object) -> str:
    """Return a metric's or hyperparameter's value in at most 5 digits; a text as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.5g}"


def amount(count: int, one: str) -> str:
    """Return a count with its noun: `1 run`, `2 runs`."""
    return f"{count:,} {one if count == 1 else one + 's'}"


def hours(value: float) -> str:
    """Return GPU hours to a tenth."""
    return f"{value:,.1f}"
