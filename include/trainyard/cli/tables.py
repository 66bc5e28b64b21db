"""Tables of what the service lists; the widths are those of the 2017 service, and grow where they must."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trainyard.cli.columns import Paint, columns, schedule_text, size_text, text_of
from trainyard.cli.output import one_line

_RUN_HEADER = ("SI No", "Name", "guid", "status", "submitted-at")
_RUN_WIDTHS = (5, 24, 18, 7, 0)
_QUOTA_COLUMNS = {
    "account": "Account",
    "gpus": "GPUs",
    "used": "used",
    "waiting_gpus": "waited for",
    "waiting_runs": "by runs",
    "gpu_hours": "GPU hours of 7 days",
}
_SCHEDULE_HEADER = ("SI No", "Name", "guid", "schedule", "status", "next-at", "last-run", "note")
_DATASET_HEADER = ("Name", "version", "size", "files", "users", "hits", "last-used")
_EVENT_COLUMNS = {
    "time": "Time",
    "actor": "actor",
    "remote": "from",
    "action": "action",
    "account": "account",
    "run": "run",
    "training": "training",
}
_EVENT_WIDTHS = (24, 10, 15, 16, 10, 18, 18)
_FRAMEWORK_HEADER = ("SI No", "Name", "version", "interpreter", "image")


def run_table(runs: Sequence[Mapping[str, Any]], paint: Paint) -> list[str]:
    """Lay out the runs, numbered from 1; `paint` colours the cell of the state."""
    rows = [
        (
            str(number),
            text_of(run, "name"),
            text_of(run, "model_id"),
            text_of(run, "state"),
            text_of(run, "submitted_at"),
        )
        for number, run in enumerate(runs, start=1)
    ]
    return columns(_RUN_HEADER, rows, _RUN_WIDTHS, {3: paint})


def watch_rows(runs: Sequence[Mapping[str, Any]], paint: Paint) -> list[str]:
    """Lay out the runs as `list` does, with the phase."""
    rows = [
        (str(number), *(text_of(run, key) for key in ("name", "model_id", "state", "phase", "submitted_at")))
        for number, run in enumerate(runs, start=1)
    ]
    header = (*_RUN_HEADER[:4], "phase", _RUN_HEADER[4])
    return columns(header, rows, (*_RUN_WIDTHS[:3], 9, 15), {3: paint})


def framework_table(frameworks: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        (str(number), *(text_of(framework, key) for key in _FRAMEWORK_HEADER[1:]))
        for number, framework in enumerate(({"Name": f.get("name"), **f} for f in frameworks), start=1)
    ]
    return columns(_FRAMEWORK_HEADER, rows, (5,))


def quota_table(accounts: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [tuple(text_of(account, key) for key in _QUOTA_COLUMNS) for account in accounts]
    header = tuple(_QUOTA_COLUMNS.values())
    if any(account.get("budget") for account in accounts):
        header = (*header, "budget")
        rows = [(*row, _budget(account.get("budget"))) for row, account in zip(rows, accounts, strict=True)]
    return columns(header, rows)


def _budget(budget: Mapping[str, Any] | None) -> str:
    return f"{budget['used']:.1f} of {budget['gpu_hours']:g} a {budget['per']}" if budget else ""


def address_table(addresses: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        (
            *(text_of(address, key) for key in ("name", "address", "account")),
            ", ".join(address.get("on") or ()),
            "yes" if address.get("every_run") else "",
        )
        for address in addresses
    ]
    return columns(("Name", "Address", "Account", "on", "every run"), rows)


def undelivered_table(deliveries: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        (
            *(text_of(each, key) for key in ("event", "model_id", "to", "tries", "failure")),
            "given up" if each.get("dead") else text_of(each, "next_at"),
        )
        for each in deliveries
    ]
    return columns(("Event", "guid", "to", "tries", "failure", "next-at"), rows)


def dataset_table(datasets: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        (
            *(text_of(dataset, key) for key in ("name", "version")),
            size_text(dataset.get("size")),
            *(text_of(dataset, key) for key in ("files", "users", "hits", "last_used")),
        )
        for dataset in datasets
    ]
    return columns(_DATASET_HEADER, rows)


def secret_table(secrets: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        (one_line(one["name"]), text_of(one, "account"), text_of(one, "changed_at"), text_of(one, "changed_by"))
        for one in secrets
    ]
    return columns(("Name", "Account", "Changed_at", "Changed_by"), rows)


def store_table(stores: Sequence[Mapping[str, Any]]) -> list[str]:
    keys = ("name", "account", "endpoint_url", "region", "changed_at")
    rows = [tuple(text_of(one, key) for key in keys) for one in stores]
    return columns(("Name", "Account", "Endpoint", "Region", "Changed_at"), rows)


def event_table(events: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lay out events of the audit log; what an event has no column for stands last."""
    rows = [(*(text_of(event, key) for key in _EVENT_COLUMNS), _event_rest(event)) for event in events]
    return columns((*_EVENT_COLUMNS.values(), "result"), rows, _EVENT_WIDTHS)


def _event_rest(event: Mapping[str, Any]) -> str:
    details = event.get("details")
    pairs = details.items() if isinstance(details, Mapping) else ()
    reported = (f"{text_of({'key': key}, 'key')}={text_of({'value': value}, 'value')}" for key, value in pairs)
    return " ".join(part for part in (text_of(event, "result"), text_of(event, "code"), *reported) if part)


def schedule_table(schedules: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lay out the schedules, numbered from 1."""
    rows = [
        (
            str(number),
            *(text_of(schedule, key) for key in ("name", "training_id")),
            schedule_text(schedule),
            *(text_of(schedule, key) for key in ("state", "next_at", "last_run", "note")),
        )
        for number, schedule in enumerate(schedules, start=1)
    ]
    return columns(_SCHEDULE_HEADER, rows, _RUN_WIDTHS[:3])
