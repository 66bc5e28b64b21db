"""What a member may change through Airflow's own API: a positive list. All else there is an admin's.

A member owns trainings, not Airflow: it starts them and clears what has ended, by ways that keep the account's quota,
its own bill and the other accounts' runs as they are. XComs and states are the service's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from trainyard.domain.names import RunKey, is_model_id
from trainyard.errors import TrainyardError

READING = frozenset({"GET", "HEAD", "OPTIONS"})
_DAG = r"/api/v2/dags/(?P<dag>[^/]+)"
_RUN = _DAG + r"/dagRuns/(?P<run>[^/]+)"
_TRIGGER = re.compile(_DAG + "/dagRuns")
# Asks the database again and again for as long as the run goes, as often as the caller likes.
_WAIT = re.compile(_RUN + "/wait")

Body = Mapping[str, Any]
Names = Mapping[str, str]


@dataclass(frozen=True)
class Permit:
    """A change that a member may make, as far as its request says; `ended` is a run that has to have ended."""

    ended: RunKey | None = None


def check_run_id(method: str, path: str, body: Body) -> None:
    """Raise TrainyardError C110 for a request, an admin's too, that would give a training's run an id of its own."""
    found = _TRIGGER.fullmatch(path)
    if method == "POST" and found and is_model_id(found["dag"]) and body.get("dag_run_id") is not None:
        message = "the service gives the runs of a training their ids"
        raise TrainyardError("C110", message, "Leave dag_run_id out.")


def member_permit(method: str, path: str, body: Body) -> Permit:
    """Return the permit for a member's request of Airflow's API; raise TrainyardError C106 where there is none."""
    if method in READING:
        if _WAIT.fullmatch(path):
            raise _refusal("waiting for a run", "Use `trainyard logs -f`, or ask for the run now and then.")
        return Permit()
    for verb, pattern, judge in _CHANGES:
        if verb == method and (found := pattern.fullmatch(path)):
            return judge(found.groupdict(), body)
    raise _refusal("this change", "Cancel, delete and pause with `trainyard` or /v3; ask an admin for the rest.")


def _as_it_is(_names: Names, _body: Body) -> Permit:
    return Permit()


def _note_alone(_names: Names, body: Body) -> Permit:
    if body.keys() - {"note"}:
        raise _refusal("changing anything but the note", "Cancel a run with `trainyard cancel` or PATCH /v3/models.")
    return Permit()


def _clear_run(names: Names, body: Body) -> Permit:
    return Permit() if _is_dry(body) else Permit(RunKey(names["dag"], names["run"]))


def _clear_steps(names: Names, body: Body) -> Permit:
    if _is_dry(body):
        return Permit()
    run_id = body.get("dag_run_id")
    if not isinstance(run_id, str) or body.get("include_past") or body.get("include_future"):
        raise _refusal("clearing steps of several runs", "Clear them run by run.")
    return Permit(RunKey(names["dag"], run_id))


def _is_dry(body: Body) -> bool:
    # What Airflow takes for the default; anything that it might read as false is taken for a change.
    return body.get("dry_run", True) is True


_CHANGES: tuple[tuple[str, re.Pattern[str], Callable[[Names, Body], Permit]], ...] = (
    ("POST", re.compile("/ui/auth/token"), _as_it_is),  # a token for the caller itself
    ("POST", re.compile(_DAG + "/(un)?favorite"), _as_it_is),
    ("POST", re.compile(_DAG + "/dagRuns/list"), _as_it_is),  # reads
    ("POST", re.compile(_RUN + "/taskInstances/list"), _as_it_is),  # reads
    ("POST", _TRIGGER, _as_it_is),
    ("POST", re.compile(_DAG + "/clearTaskInstances"), _clear_steps),
    ("POST", re.compile(_RUN + "/clear"), _clear_run),
    ("PATCH", re.compile(_DAG), _as_it_is),  # pauses it
    ("PATCH", re.compile(_RUN), _note_alone),
    ("PATCH", re.compile(_RUN + r"/taskInstances/(?P<task>[^/]+)"), _note_alone),
)


def _refusal(what: str, hint: str) -> TrainyardError:
    return TrainyardError("C106", f"{what} is not for members", hint)
