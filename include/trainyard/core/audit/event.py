"""One event of the audit log as a value, and as the one line of JSON that it is kept as."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

# What a pipe takes in one piece on Linux (PIPE_BUF): several processes may write to one standard output.
MAX_LINE_BYTES = 4096
_MAX_FIELDS = {"actor": 200, "action": 40, "account": 100, "training": 100, "run": 100, "remote": 100, "code": 10}
MAX_DETAILS, MAX_KEY, MAX_VALUE = 10, 40, 200
_CUT = "..."
_EXACT = 2**53


class Action(StrEnum):
    """What is recorded; docs/audit.md has a row for each."""

    SUBMIT = "submit"
    START = "start"
    CANCEL = "cancel"
    DELETE = "delete"
    UNDELETE = "undelete"
    READ_RUN = "run.read"
    READ_LOG = "log.read"
    LIST_RESULTS = "results.list"
    READ_RESULT = "results.read"
    EXEC = "exec"
    SET_SECRET = "secret.set"
    REMOVE_SECRET = "secret.remove"
    ADD_STORE = "store.add"
    REMOVE_STORE = "store.remove"
    LIST_OBJECTS = "data.list"
    PUT_OBJECT = "data.put"
    REMOVE_OBJECT = "data.remove"
    PAUSE_SCHEDULE = "schedule.pause"
    RESUME_SCHEDULE = "schedule.resume"
    END_SCHEDULE = "schedule.end"
    START_SCHEDULED = "schedule.start"
    STORE_DEFINITION = "definition.store"
    DELETE_DEFINITION = "definition.delete"
    STORE_EXPERIMENT = "experiment.store"
    DELETE_EXPERIMENT = "experiment.delete"
    RUN_EXPERIMENT = "experiment.run"
    DELETE_EXPERIMENT_RUN = "experiment.run.delete"
    PAUSE_SEARCH = "search.pause"
    RESUME_SEARCH = "search.resume"
    CANCEL_SEARCH = "search.cancel"
    EXTEND_SEARCH = "search.extend"
    CHANGE_ACCOUNT = "account.change"
    RESIZE_POOL = "pool.resize"
    HOUSEKEEPING = "housekeeping"
    HOUSEKEEPING_REMOVE = "housekeeping.remove"
    ASK_OWNERS = "owners.read"
    JANITOR_REMOVE = "janitor.remove"
    SET_ADDRESS = "notify.set"
    REMOVE_ADDRESS = "notify.remove"
    RETRY_NOTIFICATIONS = "notify.retry"
    DOCTOR = "doctor"
    CHECK_AUDIT = "audit.check"
    READ_AUDIT = "audit.read"


class Result(StrEnum):
    """What came of an action: done, refused for a reason of the caller's, or failed for one of the service's."""

    OK = "ok"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True)
class Event:
    """Who did what; `time` is in seconds since the epoch, `remote` the address that the request came from.

    Fields that do not apply or are not known are empty. Neither field nor detail ever holds a secret.
    """

    time: float
    actor: str
    action: str
    admin: bool = False
    account: str = ""
    training: str = ""
    run: str = ""
    remote: str = ""
    result: str = Result.OK
    code: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the event as JSON data: the time as RFC 3339 in UTC to the millisecond, every text bounded."""
        cut = {name: _text(getattr(self, name), most) for name, most in _MAX_FIELDS.items()}
        known = {**asdict(self), **cut, "result": str(self.result)}
        return {**known, "time": timestamp(self.time), "admin": bool(self.admin), "details": _details(self.details)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Event:
        """Read an event back; raise ValueError, TypeError or KeyError for what is none."""
        texts = {name: str(data.get(name, "")) for name in _MAX_FIELDS}
        moment = datetime.fromisoformat(data["time"]).timestamp()
        details = dict(data.get("details") or {})
        return cls(moment, admin=data.get("admin") is True, result=str(data["result"]), details=details, **texts)


def timestamp(moment: float) -> str:
    """Return seconds since the epoch as RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def line_of(event: Event) -> bytes:
    """Return the event as one line of ASCII, at most MAX_LINE_BYTES long; no value can end the line."""
    return compact(event.as_dict()).encode("ascii") + b"\n"


def event_of(line: bytes) -> Event | None:
    """Read a line back; None for one that is torn or of somebody else's making."""
    try:
        return Event.from_dict(json.loads(line))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def compact(data: Any) -> str:
    return json.dumps(data, ensure_ascii=True, separators=(",", ":"))


def _details(details: Mapping[str, Any]) -> dict[str, Any]:
    pairs = [(_text(key, MAX_KEY), _value(value)) for key, value in details.items() if value not in (None, "")]
    return dict(pairs[:MAX_DETAILS])


def _value(value: Any) -> Any:
    if isinstance(value, bool) or (isinstance(value, int) and abs(value) < _EXACT):
        return value
    return _text(value, MAX_VALUE)


def _text(value: Any, most: int) -> str:
    """Cut a text so that it takes at most so many bytes when it is escaped."""
    text = str(value)
    if _escaped_bytes(text[:most]) <= most and len(text) <= most:
        return text
    text = text[:most]
    while text and _escaped_bytes(text) > most - len(_CUT):
        text = text[: min(len(text) - 1, len(text) * most // _escaped_bytes(text))]
    return text + _CUT


def _escaped_bytes(text: str) -> int:
    return len(json.dumps(text)) - 2
