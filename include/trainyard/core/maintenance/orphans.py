"""Orphans: what a run left on the cluster and in the workspace when it ended; pods above all, which hold GPUs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from trainyard.core.accounts import SERVICE
from trainyard.core.audit.event import Action
from trainyard.core.audit.recording import NO_AUDIT, Audit
from trainyard.core.maintenance.owners import GOING, OVER, UNKNOWN, Owner
from trainyard.core.maintenance.removals import Removals
from trainyard.domain.names import RunKey

_UNITS = ((24 * 3600, "day"), (3600, "hour"), (60, "minute"))


@dataclass(frozen=True)
class Remnant:
    """Something that a run made; `name` is for people, `made_at` is in seconds since the epoch."""

    run: RunKey
    name: str
    made_at: float
    remove: Callable[[], object]


@dataclass
class OrphanReport(Removals):
    """What a pass removed, or would remove, with a reason each; `failed` says what stays and why."""

    removed: list[dict[str, str]] = field(default_factory=list)


def orphan_reason(left: Remnant, owner: Owner | None, now: float, grace_seconds: float) -> str:
    """Return why something is an orphan, as part of a sentence; empty while a run owns it, or may.

    The grace is counted from when it was made and from the run's end, whichever is later: a run that is being
    registered, or whose cleanup is at work, keeps what it has.
    """
    if owner is None or owner.state == GOING:
        return ""
    since = max(left.made_at, owner.ended_at or 0.0)
    if now - since <= grace_seconds:
        return ""
    if owner.state == OVER:
        return f"its run ended {_span(now - (owner.ended_at or since))} ago"
    return "Airflow knows no such run" if owner.state == UNKNOWN else ""


def remove_orphans(
    things: Iterable[Remnant],
    owners: Mapping[RunKey, Owner],
    now: float,
    grace_seconds: float,
    dry_run: bool,
    audit: Audit = NO_AUDIT,
) -> OrphanReport:
    """Remove orphans, or with `dry_run` only report them; one that cannot be removed keeps no other."""
    report = OrphanReport(dry_run)
    for left in things:
        reason = orphan_reason(left, owners.get(left.run), now, grace_seconds)
        if reason and report.attempt(left.name, left.remove):
            removed = {"name": left.name, "reason": reason}
            report.removed.append(removed)
            if not dry_run:
                audit.record(SERVICE, Action.JANITOR_REMOVE, run=left.run.model_id, details=removed)
    return report


def _span(seconds: float) -> str:
    amounts = ((round(seconds / size), name) for size, name in _UNITS)
    amount, name = next((each for each in amounts if each[0] > 1), (round(seconds), "second"))
    return f"{amount} {name}s"
