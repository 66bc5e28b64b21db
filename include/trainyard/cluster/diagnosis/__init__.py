"""How a training pod ended or what it waits for, from its status as the API returns it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainyard.cluster.diagnosis.endings import find_row
from trainyard.cluster.diagnosis.row import Row
from trainyard.cluster.diagnosis.signs import is_pulling, never_pulls
from trainyard.cluster.diagnosis.status import Facts, clean, read_status
from trainyard.domain.outcome import Outcome, exact_image


def diagnose(pod: Mapping[str, Any] | None, gpus: int, memory: int, now: float | None = None) -> Outcome | None:
    """Say how a pod ended; None while it is waiting or running.

    `pod` is the API's JSON, None if the pod is gone; `memory` is its limit in bytes; with `now` (seconds since the
    epoch) a pod whose node no longer answers is recognised too. An image that does not arrive is S103 although
    the cluster keeps trying: `ended` says which ends are final.
    """
    facts = read_status(pod, gpus, memory, now)
    row = find_row(facts)
    return outcome_of(row, facts) if row else None


def outcome_of(row: Row, facts: Facts) -> Outcome:
    """Return the outcome of a pod that ended in one of the table's ways."""
    return Outcome(
        code=row.code,
        message="; ".join(filter(None, (row.message.format(f=facts), facts.warnings))),
        hint=row.hint.format(f=facts),
        exit_code=facts.exit_code,
        gpu_seconds=facts.gpu_seconds,
        started_at=facts.started_at,
        finished_at=facts.finished_at,
        image=exact_image(facts.image_id),
    )


def ended(pod: Mapping[str, Any] | None, now: float | None = None) -> bool:
    """Say whether nothing of a pod runs or will run any more."""
    row = find_row(read_status(pod, now=now))
    return row is not None and row.final


def never_begins(pod: Mapping[str, Any]) -> bool:
    """Say whether a pod has failed for us before its program began, and holds its place until it is deleted."""
    return read_status(pod).phase in ("", "Pending") and ended(pod)


def succeeded(pod: Mapping[str, Any]) -> bool:
    """Say whether a pod's program ended well; the container says so up to a second before the pod's phase does."""
    row = find_row(read_status(pod))
    return row is not None and row.final and row.code is None


def image_trouble(pod: Mapping[str, Any]) -> str | None:
    """Return why a pod's image has not arrived although it was tried, None while there is nothing wrong with it."""
    facts = read_status(pod)
    if not (is_pulling(facts) or never_pulls(facts)):
        return None
    return clean(facts.waiting_message) or facts.waiting


def waiting_reason(pod: Mapping[str, Any]) -> str:
    """Return in a sentence's part what a pod waits for before its program runs; empty once it runs."""
    facts = read_status(pod)
    if facts.phase not in ("", "Pending"):
        return ""
    if trouble := image_trouble(pod):
        return f"the image {facts.image} does not arrive: {trouble}"
    if facts.scheduled_at is not None:
        return f"the node prepares the image {facts.image}"
    wanted = _wanted(facts.wanted_gpus)
    return f"waiting for {wanted}: {clean(facts.unscheduled)}" if facts.unscheduled else f"waiting for {wanted}"


def _wanted(gpus: int) -> str:
    if not gpus:
        return "a place on a node"
    return "1 GPU" if gpus == 1 else f"{gpus} GPUs"
