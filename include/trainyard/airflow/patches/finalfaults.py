"""Let the triggerer fail a train step for good where another attempt would not help.

Airflow 3.3 asks only how many tries are left when a trigger fails its task; a trigger has no say in that. Without the
patch nothing is lost but time: the next try finds the pod that has ended and takes its outcome, as soon as it gets the
pool slots again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainyard.airflow.outcomes import FINAL, KEY
from trainyard.airflow.patches import ShapeMismatchError
from trainyard.errors import CODES


def install() -> None:
    """Teach this process to look at the outcome before it gives a train step that a trigger failed its next try.

    For the triggerer, at its start; a second time is harmless.
    """
    from airflow.models.trigger import handle_event_submit
    from airflow.triggers.base import BaseTaskEndEvent, TaskFailedEvent

    if not hasattr(handle_event_submit, "dispatch") or not issubclass(TaskFailedEvent, BaseTaskEndEvent):
        raise ShapeMismatchError("handle_event_submit does not dispatch on the kind of event")
    as_usual = handle_event_submit.dispatch(BaseTaskEndEvent)

    def fail(event: TaskFailedEvent, *, task_instance: Any, session: Any) -> None:
        xcoms = event.xcoms or {}
        if xcoms.pop(FINAL, False) or _is_final(xcoms):
            task_instance.max_tries = task_instance.try_number - 1
        as_usual(event, task_instance=task_instance, session=session)

    handle_event_submit.register(TaskFailedEvent)(fail)


def _is_final(xcoms: Mapping[str, Any]) -> bool:
    outcome = xcoms.get(KEY)
    code = CODES.get(outcome.get("code", "")) if isinstance(outcome, dict) else None
    return code is not None and not code.retried
