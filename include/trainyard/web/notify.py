"""Where people are notified: the addresses that they keep, added, tested and forgotten; none is ever shown whole."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Request
from starlette.responses import HTMLResponse

from trainyard.core.accounts import Caller
from trainyard.core.notifications import Notifications
from trainyard.domain.notification import DEFAULT_EVENTS, EVENTS
from trainyard.errors import TrainyardError
from trainyard.web.rendering import caller, page

router = APIRouter()
_MAX_SHOWN = 50


@router.get("/notifications", response_class=HTMLResponse)
def addresses(request: Request) -> HTMLResponse:
    """Show the caller's addresses, those of the caller's accounts, and what did not arrive."""
    return _shown(request)


@router.post("/notifications", response_class=HTMLResponse)
def change(
    request: Request,
    do: Annotated[Literal["keep", "test", "remove"], Form()],
    name: Annotated[str, Form(max_length=100)] = "",
    address: Annotated[str, Form(max_length=2000)] = "",
    on: Annotated[list[str] | None, Form(max_length=20)] = None,
    every_run: Annotated[bool, Form()] = False,
    account: Annotated[str, Form(max_length=100)] = "",
) -> HTMLResponse:
    """Keep, test or forget an address, and say what came of it; what is wrong stays in the form."""
    use: Notifications = request.app.state.notifications
    try:
        done = _done(use, caller(request), do, name.strip(), address, tuple(on or ()), every_run, account or None)
    except TrainyardError as error:
        # The address itself is a secret, and not sent back.
        written = {"name": name, "on": on or [], "every_run": every_run}
        return _shown(request, error.status, error=error, written=written)
    return _shown(request, **done)


def _done(
    use: Notifications,
    who: Caller,
    do: str,
    name: str,
    address: str,
    events: tuple[str, ...],
    every_run: bool,
    account: str | None,
) -> dict[str, Any]:
    if do == "keep":
        kept, secret = use.set(who, name, address, "", events, every_run, account)
        return {"said": f"{kept.name} is kept.", "secret": secret}
    if do == "test":
        use.test(who, name, account)
        return {"said": f"A test is on its way to {name}; what does not arrive is listed below within minutes."}
    use.remove(who, name, account)
    return {"said": f"{name} is forgotten."}


def _shown(request: Request, status: int = 200, **values: Any) -> HTMLResponse:
    use: Notifications = request.app.state.notifications
    who = caller(request)
    failing, dead = use.undelivered(who)
    known: dict[str, Any] = {
        "kept": use.all(who),
        "failing": failing[:_MAX_SHOWN],
        "dead": dead[:_MAX_SHOWN],
        "events": EVENTS,
        "usual": DEFAULT_EVENTS,
        "said": "",
        "secret": "",
        "error": None,
        "written": {"name": "", "on": list(DEFAULT_EVENTS), "every_run": False},
    }
    return page(request, "notifications.html", status, **{**known, **values})
