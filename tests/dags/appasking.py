"""The service's app without a server: made, and asked as somebody."""

from __future__ import annotations

import asyncio
import warnings
from typing import Any

import httpx

from trainyard.core.accounts import Caller


def created_app() -> Any:
    """Make the app again; Airflow is imported no earlier."""
    with warnings.catch_warnings():
        # A library of Airflow's own imports starlette's test client, which warns of the httpx that it finds.
        warnings.simplefilter("ignore")
        from trainyard.api.app import create_app
    return create_app()


def asked(app: Any, caller: Caller, verb: str, path: str, **content: Any) -> httpx.Response:
    """Return the app's answer to somebody who is signed in."""
    from trainyard.api.auth import caller_of

    async def once() -> httpx.Response:
        app.dependency_overrides[caller_of] = lambda: caller
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://front.door") as client:
            return await client.request(verb, path, **content)

    return asyncio.run(once())
