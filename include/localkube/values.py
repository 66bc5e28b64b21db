"""Amounts and times as Kubernetes writes them; light, because every shim imports it."""

from __future__ import annotations

import calendar
import math
import re
import time
from decimal import Decimal

_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d{1,2})|(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E))?")
_BINARY = {unit: Decimal(1024**power) for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)}
_DECIMAL = {unit: Decimal(10) ** (3 * power) for power, unit in enumerate("num kMGTPE", start=-3) if unit != " "}
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)")
_SECOND = 1_000_000_000


def quantity(text: str) -> Decimal:
    """Read `500m`, `1.5`, `2Gi`, `1e3`. Raise ValueError for anything else."""
    match = _QUANTITY.fullmatch(text)
    if not match:
        raise ValueError("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
    number, exponent, unit = match.groups()
    factor = Decimal(10) ** int(exponent) if exponent else (_BINARY | _DECIMAL).get(unit or "", Decimal(1))
    return Decimal(number) * factor


def whole(text: str) -> int:
    """Read a quantity and round it up, as the API does for bytes and devices."""
    return math.ceil(quantity(text))


def nanoseconds(moment: int | None = None) -> str:
    """Write a time (nanoseconds since 1970, now by default) with nine decimals, as log lines have it."""
    whole_seconds, rest = divmod(time.time_ns() if moment is None else moment, _SECOND)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole_seconds))}.{rest:09d}Z"


def seconds(moment: float | None = None) -> str:
    """Write a time (seconds since 1970, now by default) as objects have it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() if moment is None else moment))


def parse_time(text: str) -> int:
    """Read an RFC 3339 time into nanoseconds since 1970. Raise ValueError for any other text."""
    match = _RFC3339.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a time such as 2026-01-31T12:00:00Z")
    day, clock, fraction, zone = match.groups()
    local = calendar.timegm(time.strptime(f"{day} {clock}", "%Y-%m-%d %H:%M:%S"))
    return (local - _offset(zone)) * _SECOND + int((fraction or "").ljust(9, "0"))


def _offset(zone: str) -> int:
    if zone in "Zz":
        return 0
    sign = -1 if zone[0] == "-" else 1
    return sign * (int(zone[1:3]) * 3600 + int(zone[4:6]) * 60)
