"""The mark of a canceled run, and the steps' own look at it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainyard.airflow.outcomes import said
from trainyard.domain.outcome import Outcome
from trainyard.errors import TrainyardError

# Who canceled the run: an XCom of the validate step.
CANCELED = "canceled"


def spare_mark(clear_number: int) -> str:
    """Return the key under which the train step has the mark too, for the runs of a DAG run that was cleared so often.

    A step's XComs are cleared when it starts: what validate has is lost if it starts at the moment of the cancel.
    """
    return f"{CANCELED}-{clear_number}"


def who_canceled(context: Mapping[str, Any]) -> str | None:
    """Return who canceled the run, None where nobody did."""
    who = said(context, "validate", CANCELED)
    return str(who) if who else None


def canceled_by(who: str) -> Outcome:
    return Outcome("C204", f"canceled by {who}", "Submit it again to train.")


def check_not_canceled(context: Mapping[str, Any]) -> None:
    """Raise TrainyardError C204 in a step of a run that was canceled.

    A cancel skips the steps that have not started; a scheduler that is about to queue one does not always notice.
    """
    look = _who_canceled_before if context["ti"].task_id == "validate" else who_canceled
    if who := look(context):
        outcome = canceled_by(who)
        raise TrainyardError("C204", outcome.message, outcome.hint)


def _who_canceled_before(context: Mapping[str, Any]) -> str | None:
    who = said(context, "train", spare_mark(context["dag_run"].clear_number))
    if who:
        context["ti"].xcom_push(key=CANCELED, value=who)
    return str(who) if who else None
