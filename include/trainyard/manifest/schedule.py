"""Read the schedule of a manifest: a cron in a time zone, or looks for new data."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from trainyard.domain.cron import EXAMPLE, fault_of_cron, five_fields
from trainyard.domain.schedule import Overlap, Schedule
from trainyard.manifest.document import Path
from trainyard.manifest.masking import brief
from trainyard.manifest.timezone import zone_hint, zone_warning, zones
from trainyard.manifest.values import Values

NEW_DATA = "new-data"
_AT: Path = ("schedule",)
SEARCH: Path = ("search",)
_UTC = "UTC"
_EVERY = re.compile(r"([0-9]{1,9})\s*([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
MIN_EVERY, MAX_EVERY, DEFAULT_EVERY = 60, 30 * 86400, 15 * 60


def read_schedule(values: Values, clock: Callable[[], float]) -> Schedule | None:
    """Return the schedule, None for a training that has none; what is wrong with it becomes faults.

    `clock` gives seconds since the epoch; a schedule that is over by then is a fault.
    """
    document = values.document
    if document.value(_AT) is None or (document.text(_AT) is not None and values.text(_AT) is None):
        return None
    return _short(values, clock) if document.text(_AT) else _long(values, clock)


def _short(values: Values, clock: Callable[[], float]) -> Schedule | None:
    text = values.text(_AT) or ""
    if text == NEW_DATA:
        return Schedule(every_seconds=DEFAULT_EVERY)
    if len(text.split()) == 1 and not text.startswith("@"):
        hint = f'Write a cron such as "{EXAMPLE}", "@daily", or {NEW_DATA}.'
        values.faults.add(_AT, "this is no schedule.", hint)
        return None
    return _with_cron(values, _AT, Schedule(cron=five_fields(text)), clock)


def _long(values: Values, clock: Callable[[], float]) -> Schedule | None:
    found = _cron_or_looks(values, clock)
    point = values.text((*_AT, "point")) or ""
    if point and not isinstance(values.document.value(SEARCH), dict):
        hint = "Remove it, or write search, which finds the best point."
        values.faults.add((*_AT, "point"), "there is no search whose best point it could be.", hint)
    return replace(found, point=point) if found else None


def _cron_or_looks(values: Values, clock: Callable[[], float]) -> Schedule | None:
    cron = (*_AT, "cron")
    zone = _timezone(values)
    until = _until(values, zone, clock) if zone else None
    if values.text((*_AT, "on")):
        return Schedule(every_seconds=_every(values) or 0, timezone=zone or _UTC, until=until)
    text = values.text(cron)
    if text is None:
        return None
    overlap = Overlap.WAIT if values.text((*_AT, "overlap")) == Overlap.WAIT else Overlap.SKIP
    return _with_cron(values, cron, Schedule(five_fields(text), zone or _UTC, until=until, overlap=overlap), clock)


def _with_cron(values: Values, at: Path, schedule: Schedule, clock: Callable[[], float]) -> Schedule | None:
    if fault := fault_of_cron(schedule.cron):
        values.faults.add(at, *fault)
        return None
    now = clock()
    if Schedule(cron=schedule.cron).next_after(now) is None:
        values.faults.add(at, "the cron names a day that never comes.", "Check the day of the month and the month.")
    elif schedule.next_after(now) is None and (*_AT, "until") not in values.faults:
        values.warn((*_AT, "until"), "until comes before the cron is due for the first time")
    return schedule


def _timezone(values: Values) -> str | None:
    path = (*_AT, "timezone")
    text = values.text(path)
    if text is None:
        return None if path in values.faults else _UTC
    if text not in zones():
        values.faults.add(path, f"there is no time zone {brief(text)}.", zone_hint(text))
        return None
    if warning := zone_warning(text):
        values.warn(path, warning)
    return text


def _every(values: Values) -> int | None:
    path = (*_AT, "every")
    text = values.text(path)
    if text is None:
        return DEFAULT_EVERY
    match = _EVERY.fullmatch(text.lower())
    if match is None:
        values.faults.add(path, f"every cannot be {brief(text)}.", "Write a number with s, m, h or d, such as 15m.")
        return None
    seconds = int(match[1]) * _SECONDS[match[2]]
    if seconds < MIN_EVERY:
        values.faults.add(path, "every is under a minute.", "Write 1m or more.")
    elif seconds > MAX_EVERY:
        values.faults.add(path, "every is over 30 days.", "Write 30d or less.")
    return seconds


def _until(values: Values, zone: str, clock: Callable[[], float]) -> float | None:
    path = (*_AT, "until")
    text = values.text(path)
    if text is None:
        return None
    until = _moment(text, ZoneInfo(zone))
    if until is None:
        hint = "Write a date, or a date and a time: 2027-01-31, 2027-01-31T18:00 or 2027-01-31T18:00+01:00."
        values.faults.add(path, f"until cannot be {brief(text)}.", hint)
    elif until <= clock():
        values.faults.add(path, "until is in the past.", "Write a later date, or remove it.")
    return until


def _moment(text: str, zone: ZoneInfo) -> float | None:
    """Read a date as its first moment; seconds since the epoch."""
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError):
        return None
