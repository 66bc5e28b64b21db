"""Who is calling: Airflow's auth manager says."""

from __future__ import annotations

from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from fastapi import Depends
from fastapi.requests import HTTPConnection
from jwt import ExpiredSignatureError, InvalidTokenError

from trainyard.airflow.authmanager import is_admin
from trainyard.core.accounts import Caller
from trainyard.errors import TrainyardError

# Where in a request's scope the guard leaves who is calling.
CALLER = "trainyard.caller"
# Where a guard of the whole server leaves Airflow's user of the request's token, which costs a look into the database.
USER = "trainyard.user"
_HINT = "Sign in with `trainyard login`."


async def caller_of(request: HTTPConnection) -> Caller:
    """Return who sent the request; raise C105 without a valid token of a user that there is."""
    if found := request.scope.get(CALLER):
        known: Caller = found
        return known
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise TrainyardError("C105", "the request carries no token", _HINT)
    return await caller_with(token.strip(), request)


async def caller_with(token: str, request: HTTPConnection) -> Caller:
    """Return whose token came with a request; raise C105 for one that is not valid, or whose user is not there."""
    user = request.scope.get(USER) or await _user(token)
    address = request.client.host if request.client else ""
    return Caller(user.get_name(), _is_admin(user), address)


async def _user(token: str) -> Any:
    try:
        return await get_auth_manager().get_user_from_token(token)
    except ExpiredSignatureError:
        raise TrainyardError("C105", "the token has run out", _HINT) from None
    except InvalidTokenError as error:
        raise TrainyardError("C105", f"the token is not valid: {error}", _HINT) from None


def _is_admin(user: Any) -> bool:
    try:
        return is_admin(get_auth_manager(), user)
    except KeyError:  # an auth manager that looks roles up only now
        raise TrainyardError("C105", "the token's role is not known", _HINT) from None


CallerDep = Annotated[Caller, Depends(caller_of)]
