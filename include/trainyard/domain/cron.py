"""The five fields of a cron: what people may write, and what is wrong with it."""

from __future__ import annotations

import re

EXAMPLE = "30 2 * * *"
PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_DAYS = "sun|mon|tue|wed|thu|fri|sat"
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
# What each field is called, what stands in it, its names, and the longest step that means what it says.
_FIELDS = (
    ("minute", "0 to 59", "", 60),
    ("hour", "0 to 23", "", 24),
    ("day of the month", "1 to 31", "", 31),
    ("month", "1 to 12 or jan to dec", _MONTHS, 12),
    ("day of the week", "0 to 7 or sun to sat", _DAYS, 7),
)
_NAMES = "minute, hour, day of the month, month, day of the week"
_STEP = re.compile(r"/0*([0-9]+)")
# 5-5 is the whole field to the library, and 5 alone to every other cron.
_RANGE_OF_ONE = re.compile(r"(?<![0-9a-z])0*([0-9a-z]+)-0*\1(?![0-9a-z])")


def five_fields(text: str) -> str:
    """Return a cron as it is kept: a preset written out, one blank between fields, names in lower case."""
    plain = " ".join(text.lower().split())
    return PRESETS.get(plain, plain)


def fault_of_cron(text: str) -> tuple[str, str] | None:
    """Say what is wrong with the fields of a cron, as a message and its hint; None where nothing is.

    The library that reads crons takes more than is documented here (seconds, L, #, random times), so it is not asked
    about what no field of ours may hold.
    """
    fields = five_fields(text).split()
    if len(fields) == 1 and fields[0].startswith("@"):
        return f"there is no {fields[0][:60]}.", f"Use one of {', '.join(PRESETS)}, or five fields such as {EXAMPLE}."
    if len(fields) != len(_FIELDS):
        count = "1 field" if len(fields) == 1 else f"{len(fields)} fields"
        return f"a cron has five fields, this has {count}.", f"Write {_NAMES}, such as {EXAMPLE}."
    wrong = next((place for place, field in enumerate(fields) if not _is_possible(place, field)), None)
    return None if wrong is None else _wrong_field(wrong, fields[wrong])


def _is_possible(place: int, field: str) -> bool:
    from croniter import CroniterError, croniter

    if not _is_documented(place, field):
        return False
    try:
        croniter.expand(" ".join(field if other == place else "*" for other in range(len(_FIELDS))))
    except CroniterError:
        return False
    return True


def _is_documented(place: int, field: str) -> bool:
    *_, names, longest = _FIELDS[place]
    allowed = rf"(?:[0-9*,/-]{f'|{names}' if names else ''})+"
    too_long = any(len(step) > 2 or int(step) > longest for step in _STEP.findall(field))
    return bool(re.fullmatch(allowed, field)) and not too_long and not _RANGE_OF_ONE.search(field)


def _wrong_field(place: int, field: str) -> tuple[str, str]:
    name, values, *_ = _FIELDS[place]
    return f"the {name} of the cron cannot be {field[:60]}.", f"Use {values}, *, and of these lists, ranges and steps."
