"""Stored documents and the runs of experiments as rows and columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trainyard.cli.columns import Paint, columns, pairs
from trainyard.cli.output import one_line
from trainyard.cli.tables import run_table

_HEADER = ("SI No", "Name", "guid", "created-at")
_RUN_HEADER = ("SI No", "guid", "status", "trainings", "created-at")
_WIDTHS = (5, 24, 36, 0)


def document_table(documents: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lay out stored documents, numbered from 1."""
    rows = [
        (str(number), *(one_line(document.get(key)) for key in ("name", "id", "created_at")))
        for number, document in enumerate(documents, start=1)
    ]
    return columns(_HEADER, rows, _WIDTHS)


def experiment_run_table(runs: Sequence[Mapping[str, Any]], paint: Paint = str) -> list[str]:
    """Lay out the runs of an experiment, numbered from 1; `paint` colours the cell of the state."""
    rows = [
        (
            str(number),
            one_line(run.get("id")),
            one_line(run.get("state")),
            _states(run),
            one_line(run.get("created_at")),
        )
        for number, run in enumerate(runs, start=1)
    ]
    return columns(_RUN_HEADER, rows, (5, 36, 9), {2: paint})


def document_rows(document: Mapping[str, Any]) -> list[str]:
    """Lay out one document: what it is, and what an experiment trains."""
    content = document.get("content") or {}
    rows = [(label, one_line(document.get(key))) for label, key in _LABELS]
    rows += [("Framework", _framework(content.get("framework"))), ("Command", one_line(content.get("command")))]
    rows += [("Compute", _compute(content.get("compute"))), ("Data", _store(content.get("data")))]
    rows += [("Results", _store(content.get("results")))]
    rows += [("Training", _reference(each)) for each in content.get("references") or []]
    return pairs(row for row in rows if row[1])


_LABELS = (
    ("ID", "id"),
    ("Version_ID", "version_id"),
    ("url", "url"),
    ("Name", "name"),
    ("Account", "account"),
    ("Owner", "owner"),
    ("Created_at", "created_at"),
    ("Zip_sha256", "zip_sha256"),
)


def experiment_run_rows(run: Mapping[str, Any], paint: Paint = str) -> list[str]:
    """Lay out one run of an experiment, and its trainings below."""
    keys = (("ID", "id"), ("url", "url"), ("Experiment", "experiment"), ("Account", "account"), ("Owner", "owner"))
    rows = [(label, one_line(run.get(key))) for label, key in keys]
    rows += [("State", paint(one_line(run.get("state")))), ("Created_at", one_line(run.get("created_at")))]
    return [*pairs(rows), "", *run_table(run.get("trainings") or [], paint), ""]


def _states(run: Mapping[str, Any]) -> str:
    """Say how many trainings are in which state: `2 completed, 1 running`."""
    return ", ".join(f"{count} {one_line(state)}" for state, count in (run.get("states") or {}).items())


def _framework(framework: Any) -> str:
    return f"{one_line(framework.get('name'))} {one_line(framework.get('version'))}" if framework else ""


def _compute(compute: Any) -> str:
    if not compute:
        return ""
    nodes = compute.get("nodes") or 1
    return one_line(compute.get("name")) + (f", {nodes} machines" if nodes > 1 else "")


def _store(store: Any) -> str:
    """Say which bucket it is, and where."""
    if not store:
        return ""
    return f"{one_line(store.get('bucket'))} at {one_line(store.get('endpoint') or store.get('connection'))}"


def _reference(reference: Mapping[str, Any]) -> str:
    search = reference.get("search") or {}
    asked = f"search of {search['trials']} runs to {search['goal']} {search['metric']}" if search else ""
    parts = (f"definition {reference.get('definition_id')}", _compute(reference.get("compute")), one_line(asked))
    return f"{one_line(reference.get('name'))}: {', '.join(filter(None, parts))}"
