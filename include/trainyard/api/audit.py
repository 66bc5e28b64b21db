"""/v3/audit: who did what through the service."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from trainyard.answers.service import AuditPage
from trainyard.api.auth import CallerDep
from trainyard.api.openapi import answers, refusals
from trainyard.api.times import epoch
from trainyard.core.audit.event import Result, timestamp
from trainyard.core.audit.reading import Query as Wanted
from trainyard.core.audit.reading import Trail

router = APIRouter()
_MAX_A_PAGE = 1000
_LAST_MOMENT = datetime(9999, 12, 31, tzinfo=UTC).timestamp()


@router.get("/audit", summary="Read the audit log", **answers(AuditPage), responses=refusals(400, 403, 404))
def audit(
    request: Request,
    caller: CallerDep,
    since: Annotated[datetime | None, Query(description="Only events then or later; UTC unless it says so")] = None,
    until: Annotated[datetime | None, Query(description="Only events before then; now if not given")] = None,
    actor: Annotated[str, Query(description="Only what this user did")] = "",
    action: Annotated[str, Query(description="Only this action, such as `submit`")] = "",
    run: Annotated[str, Query(description="Only what was done with this run")] = "",
    account: Annotated[str, Query(description="Only what was done in this account")] = "",
    result: Annotated[Result | None, Query(description="Only what was done, refused or failed")] = None,
    limit: Annotated[int, Query(ge=1, le=_MAX_A_PAGE)] = 100,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> dict[str, Any]:
    """List the events, the newest first. For admins.

    The answer says whether there are `more`, and which `until` it took: with that, the next pages go on where this one
    ends, although new events are recorded meanwhile.
    """
    trail: Trail = request.app.state.trail
    before = _bounded(until or datetime.now(UTC))
    after = None if since is None else _bounded(since)
    wanted = Wanted(after, before, actor, action, run, account, result.value if result else "")
    page, more = trail.page(caller, wanted, limit, offset)
    events = [event.as_dict() for event in page]
    return {"resources": events, "limit": limit, "offset": offset, "until": timestamp(before), "more": more}


def _bounded(asked: datetime) -> float:
    """Return a moment in seconds since the epoch; at the ends of the calendar a time zone would lead out of it."""
    return min(max(epoch(asked) or 0.0, 0.0), _LAST_MOMENT)
