"""Who is calling: Airflow's auth manager says."""

from __future__ import annotations

from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import PoolDetails
from fastapi import Depends, Request
from jwt import InvalidTokenError

from trainyard.errors import TrainyardError
from trainyard.service import Caller

_CURE = "Sign in with `trainyard login`."


async def caller_of(request: Request) -> Caller:
    """Return who sent the request; raise C105 without a valid token.

    Whoever may change pools is an admin here: a pool is an account's quota.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise TrainyardError("C105", "the request carries no token", _CURE)
    user = await _user(token.strip())
    admin = get_auth_manager().is_authorized_pool(method="PUT", user=user, details=PoolDetails(name="default_pool"))
    return Caller(user.get_name(), admin)


async def _user(token: str) -> Any:
    try:
        return await get_auth_manager().get_user_from_token(token)
    except InvalidTokenError as error:
        raise TrainyardError("C105", f"the token is not valid: {error}", _CURE) from None


CallerDep = Annotated[Caller, Depends(caller_of)]
