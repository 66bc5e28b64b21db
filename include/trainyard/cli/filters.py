"""Which runs a person asks for, as the query of a request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from trainyard.client.errors import WrongUsageError
from trainyard.domain.states import State

_AGO = re.compile(r"(\d{1,6})([smhdw])")
_RESULTS = ("ok", "refused", "failed")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def filters(
    states: str | None, name: str | None, experiment: str | None, framework: str | None, since: str | None
) -> dict[str, Any]:
    """Return the query; what is not given is not in it. Raise WrongUsageError."""
    query = {
        "state": _states(states) if states is not None else None,
        "name": name,
        "experiment": experiment,
        "framework": framework,
        "since": moment(since, datetime.now(UTC)).isoformat() if since is not None else None,
    }
    return {key: value for key, value in query.items() if value}


def event_filters(since: str | None, until: str | None, texts: Mapping[str, str | None]) -> dict[str, Any]:
    """Return the query for the audit log; what is not given is not in it. Raise WrongUsageError."""
    if texts["result"] not in (None, *_RESULTS):
        raise WrongUsageError(f"there is no result {texts['result']!r}", f"Use one of {', '.join(_RESULTS)}.")
    now = datetime.now(UTC)
    times = {
        "since": moment(since, now).isoformat() if since is not None else None,
        "until": moment(until, now, "--until").isoformat() if until is not None else None,
    }
    return {key: value for key, value in {**times, **texts}.items() if value}


def moment(text: str, now: datetime, option: str = "--since") -> datetime:
    """Read `12h` as so long ago, else a date or a date with a time, in UTC unless it says otherwise."""
    if ago := _AGO.fullmatch(text.strip()):
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        hint = "Use 30m, 12h, 7d, 2026-01-31 or 2026-01-31T08:00:00Z."
        raise WrongUsageError(f"{option} cannot be {text!r}", hint) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _states(text: str) -> list[str]:
    wanted = [word.strip().lower() for word in text.split(",")]
    unknown = next((word for word in wanted if word not in set(State)), None)
    if unknown is not None:
        raise WrongUsageError(f"there is no state {unknown!r}", f"Use one of {', '.join(State)}.")
    return wanted
