"""/v3/notify: addresses that are kept, tests of them, and notifications that did not arrive."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from trainyard.answers.notify import AddressKept, DeliveryState, NotificationCount, NotifyAnswer
from trainyard.api.auth import CallerDep
from trainyard.api.openapi import answers, refusals
from trainyard.api.times import moment
from trainyard.core.addressbook import Kept
from trainyard.core.notifications import Notifications
from trainyard.notify.outbox import Delivery

router = APIRouter()
Account = Annotated[str | None, Query(max_length=100)]


class GivenAddress(BaseModel):
    """An address as somebody writes it, what its webhooks are signed with, and which events it is notified of."""

    address: str = Field(min_length=1, max_length=2000)
    secret: str = Field("", max_length=500)
    on: list[str] = Field(default_factory=list, max_length=20)
    every_run: bool = False
    account: str | None = Field(None, max_length=100)


@router.get("/notify", summary="List addresses and what did not arrive", **answers(NotifyAnswer))
def listed(request: Request, caller: CallerDep) -> dict[str, Any]:
    """List the caller's addresses, those of the caller's accounts, and the notifications that did not arrive."""
    use = _notifications(request)
    failing, dead = use.undelivered(caller)
    return {
        "addresses": [_address(kept) for kept in use.all(caller)],
        "undelivered": [
            *(_delivery(each, dead=False) for each in failing),
            *(_delivery(each, dead=True) for each in dead),
        ],
    }


@router.post("/notify/retry", summary="Try again what was given up", **answers(NotificationCount))
def retry(request: Request, caller: CallerDep) -> dict[str, Any]:
    """Try again what was given up of the caller's and the caller's accounts' notifications, an admin all."""
    return {"notifications": _notifications(request).retry(caller)}


@router.post(
    "/notify/waiting",
    summary="Notify people of waiting runs",
    **answers(NotificationCount),
    responses=refusals(403),
)
def notify_waiting(request: Request, caller: CallerDep) -> dict[str, Any]:
    """Notify people of the runs that wait for too long, each once. For the service's own user."""
    return {"notifications": _notifications(request).notify_waiting(caller) + request.app.state.budgets.look(caller)}


@router.get(
    "/notify/deliveries/{delivery_id}",
    summary="Show what became of a notification",
    **answers(DeliveryState),
    responses=refusals(404),
)
def delivery(request: Request, caller: CallerDep, delivery_id: str) -> dict[str, Any]:
    """Say whether a notification has arrived, and why not."""
    state, failure = _notifications(request).state_of(caller, delivery_id)
    return {"id": delivery_id, "state": state, "failure": failure}


@router.put("/notify/{name}", summary="Keep an address", **answers(AddressKept), responses=refusals(400, 403))
def keep(request: Request, caller: CallerDep, name: str, given: GivenAddress) -> dict[str, Any]:
    """Keep an address under a name that manifests can use; of an account, admins alone."""
    kept, secret = _notifications(request).set(
        caller, name, given.address, given.secret, given.on, given.every_run, given.account
    )
    return {**_address(kept), "secret": secret}


@router.delete(
    "/notify/{name}",
    summary="Forget an address",
    status_code=204,
    response_class=Response,
    responses=refusals(403, 404),
)
def remove(request: Request, caller: CallerDep, name: str, account: Account = None) -> Response:
    """Forget an address; what was on its way there is given up."""
    _notifications(request).remove(caller, name, account)
    return Response(status_code=204)


@router.post(
    "/notify/{name}/test",
    summary="Send a test",
    status_code=202,
    **answers(DeliveryState),
    responses=refusals(403, 404),
)
def send_test(request: Request, caller: CallerDep, name: str, account: Account = None) -> dict[str, Any]:
    """Send a test to an address; `/v3/notify/deliveries/ID` says what becomes of it."""
    return {"id": _notifications(request).test(caller, name, account).id, "state": "waiting"}


def _address(kept: Kept) -> dict[str, Any]:
    return {
        "name": kept.name,
        "address": kept.shown,
        "account": kept.holder.name if kept.holder.kind == "account" else "",
        "on": list(kept.events),
        "every_run": kept.every_run,
    }


def _delivery(each: Delivery, *, dead: bool) -> dict[str, Any]:
    return {
        "id": each.id,
        "event": each.message.event,
        "model_id": each.message.model_id,
        "to": each.shown,
        "account": each.account,
        "made_at": moment(each.made_at),
        "tries": each.tries,
        "failure": each.failure,
        "next_at": None if dead else moment(each.next_at),
        "dead": dead,
    }


def _notifications(request: Request) -> Notifications:
    found: Notifications = request.app.state.notifications
    return found
