"""What the api-server does before it answers: Airflow's execution API makes its routes at its first request."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from rawhttp import served

from trainyard.api.guards.warmstart import WarmStart


class _Lazy:
    """An API that notes what it is asked."""

    def __init__(self, fails: bool = False) -> None:
        self.asked: list[str] = []
        self._fails = fails

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append(scope["path"])
        if self._fails:
            raise ValueError("it cannot be prepared")
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


def _app(api: _Lazy | None = None) -> FastAPI:
    app = FastAPI()
    if api:
        app.mount("/execution", api)
    app.add_middleware(WarmStart)
    return app


def _status(app: FastAPI, path: str) -> int:
    with served(app, lifespan="on", log_level="critical") as (host, port):
        return httpx.get(f"http://{host}:{port}{path}", timeout=120, trust_env=False).status_code


def test_the_execution_api_has_been_asked_before_anybody_asks() -> None:
    api = _Lazy()
    assert _status(_app(api), "/execution/task-instances") == 200
    assert api.asked == ["/execution/health", "/execution/task-instances"]


@pytest.mark.parametrize(("api", "status"), [(None, 404), (_Lazy(fails=True), 500)])
def test_a_server_without_one_and_one_whose_fails_start_all_the_same(api: _Lazy | None, status: int) -> None:
    assert _status(_app(api), "/execution/health") == status
