"""Phase, state and outcome of a run, from the states of its DAG run and its steps and from what these left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from trainyard.airflow.cancel import CANCELED, canceled_by, canceler
from trainyard.airflow.endstates import ENDED_RUN, ENDED_STEP
from trainyard.airflow.outcomes import METRICS, USED
from trainyard.domain.outcome import Outcome, read_metrics
from trainyard.domain.states import Phase, State

STEPS = ("validate", "stage", "train", "upload", "cleanup")
_UNSTARTED = (None, "scheduled", "queued", "removed")


def phase_of(run_state: str, steps: Mapping[str, str], started: bool) -> Phase:
    """Say where a run is from the states of its DAG run and its steps."""
    if run_state in ENDED_RUN:
        return Phase.DONE
    if steps.get("train") in ENDED_STEP:
        return Phase.STORING
    if steps.get("stage") == "success":
        return Phase.TRAINING if started else Phase.WAITING_FOR_GPU
    if steps.get("validate") == "success":
        return Phase.STAGING
    return Phase.QUEUED if steps.get("validate") in _UNSTARTED else Phase.VALIDATING


def early_outcome(steps: Mapping[str, str], ends: Mapping[str, Any], started: bool) -> Outcome | None:
    """Say how a run ends whose program will never start: there is nothing that storing it could change."""
    if started or not any(steps.get(step) == "failed" for step in ("validate", "stage", "train")):
        return None
    return _unsuccessful(steps, ends)


def outcome_of(run_state: str, steps: Mapping[str, str], ends: Mapping[str, Any]) -> Outcome:
    """Say how a run ended: canceled, the first step that failed, or completed; GPU time is the train step's."""
    trained = replace(Outcome.from_dict(ends.get("train") or ends.get(USED)), metrics=read_metrics(ends.get(METRICS)))
    if run_state == "success" and not _was_canceled(steps, ends):
        return replace(trained, code=None, hint="")
    end = _unsuccessful(steps, ends)
    return replace(
        end,
        exit_code=trained.exit_code,
        gpu_seconds=trained.gpu_seconds,
        started_at=trained.started_at,
        finished_at=trained.finished_at,
        metrics=trained.metrics,
        image=trained.image,
    )


def ended_as(run_state: str, canceled: bool) -> State:
    if canceled:
        return State.CANCELED
    return State.COMPLETED if run_state == "success" else State.ERROR


def _was_canceled(steps: Mapping[str, str], ends: Mapping[str, Any]) -> bool:
    """A run that was canceled when its program had already succeeded is not undone."""
    return CANCELED in ends and steps.get("train") != "success"


def _unsuccessful(steps: Mapping[str, str], ends: Mapping[str, Any]) -> Outcome:
    """A step that failed without a word (its worker was killed) is a fault of the service and says so."""
    if _was_canceled(steps, ends):
        return canceled_by(canceler(ends[CANCELED]))
    failed = next((step for step in STEPS if steps.get(step) == "failed"), None)
    if failed is None:
        return Outcome("S500", "the run was marked failed in Airflow", "Submit it again to train.")
    outcome = Outcome.from_dict(ends.get(failed))
    if outcome.code:
        return outcome
    return Outcome("S500", f"the {failed} step ended without a reason", "Look at its log in Airflow.")
