"""Times as Kubernetes writes them; light, because every container's shim imports it."""

from __future__ import annotations

import calendar
import re
import time

_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)")
_SECOND = 1_000_000_000


def nanoseconds(moment: int | None = None) -> str:
    """Write a moment (nanoseconds since 1970, now by default) with nine decimals, as log lines carry it."""
    whole, rest = divmod(time.time_ns() if moment is None else moment, _SECOND)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{rest:09d}Z"


def seconds(moment: float | None = None) -> str:
    """Write a moment (seconds since 1970, now by default) as objects carry it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() if moment is None else moment))


def parse(text: str) -> int:
    """Read an RFC 3339 time into nanoseconds since 1970. Raise ValueError for any other text."""
    match = _RFC3339.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a time such as 2026-01-31T12:00:00Z")
    day, clock, fraction, zone = match.groups()
    whole = calendar.timegm(time.strptime(f"{day} {clock}", "%Y-%m-%d %H:%M:%S")) - _offset(zone)
    return whole * _SECOND + int((fraction or "").ljust(9, "0"))


def _offset(zone: str) -> int:
    if zone in "Zz":
        return 0
    sign = -1 if zone[0] == "-" else 1
    return sign * (int(zone[1:3]) * 3600 + int(zone[4:6]) * 60)
