"""/v3/doctor: check the installation and say what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from trainyard.api.auth import CallerDep
from trainyard.api.openapi import refusals
from trainyard.api.streams import AS_IT_IS
from trainyard.core.accounts import only_admins
from trainyard.core.audit.event import Action
from trainyard.doctor.checks import WAIT_SECONDS, Wishes
from trainyard.doctor.probepod import MAX_SECONDS
from trainyard.domain.finding import Finding

router = APIRouter()


class Look(BaseModel):
    """What to look at besides the usual: a store, written as TRAINYARD_INBOX, and every framework's image."""

    store: str = ""
    store_connection: str = ""
    every_image: bool = False
    wait_seconds: float = Field(WAIT_SECONDS, ge=1, le=MAX_SECONDS)


@router.post(
    "/doctor",
    summary="Check the installation",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/x-ndjson": {}}}, **refusals(400, 403, 500)},
)
def doctor(request: Request, caller: CallerDep, look: Look) -> StreamingResponse:
    """Start a probe pod, look at everything side by side, send a line of JSON for each finding as it comes.

    For admins. Each line has `check`, `ok`, `state`, `message`, `hint`; the last one is `{"done": true}`.
    """
    with request.app.state.trail.audit.action(caller, Action.DOCTOR):
        only_admins(caller, "looks after the service")
    found: Iterable[Finding] = request.app.state.doctor(Wishes(**look.model_dump()))
    return StreamingResponse(_lines(found), media_type="application/x-ndjson", headers=AS_IT_IS)


def _lines(found: Iterable[Finding]) -> Iterator[str]:
    for finding in found:
        yield json.dumps(finding.as_dict()) + "\n"
    yield json.dumps({"done": True}) + "\n"
