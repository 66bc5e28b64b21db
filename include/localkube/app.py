"""The cluster as one application: its parts put together, its routes, its errors."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp

from localkube import discovery, reviews, status
from localkube.auth import OPEN_PATHS, BearerAuth
from localkube.config import ClusterConfig
from localkube.events import Events
from localkube.eviction import Evictions
from localkube.exec import PodExec
from localkube.kubelet import Kubelet
from localkube.node import register_node
from localkube.objects import Key, Obj
from localkube.podlog import PodLog
from localkube.resources import Resources
from localkube.scheduler import Scheduler
from localkube.store import Store

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_NAMESPACES = ("default",)
_log = logging.getLogger(__name__)
Answer = Callable[[Request], Awaitable[Response]]


class Cluster:
    """The parts of one cluster. They exist from here on, and work between `begin` and `close`."""

    def __init__(self, config: ClusterConfig) -> None:
        self._config = config
        self.store = Store(config.folder)
        events = Events(self.store)
        self.kubelet = Kubelet(self.store, config, events, self._schedule)
        self.scheduler = Scheduler(self.store, config, events, self.kubelet.start)
        self.resources = Resources(self.store, self.kubelet, self._schedule)
        self.log = PodLog(self.store, config)
        self.exec = PodExec(self.store, config)
        self.evictions = Evictions(self.store, self.kubelet)

    def begin(self) -> None:
        """Take up what an earlier server left, and give waiting pods the node."""
        register_node(self.store, self._config)
        for name in _NAMESPACES:
            if self.store.find(Key("namespaces", "", name)) is None:
                self.store.create("namespaces", {"metadata": {"name": name}, "spec": {}, "status": {"phase": "Active"}})
        self.kubelet.recover()
        self.scheduler.schedule()

    def _schedule(self) -> None:
        self.scheduler.schedule()


def build_app(config: ClusterConfig, token: str) -> ASGIApp:
    """Return the cluster's API as an application that a server can run."""
    cluster = Cluster(config)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        cluster.begin()
        yield
        await cluster.kubelet.close()

    handlers = {status.ApiError: _refused, Exception: _broken}
    return BearerAuth(Starlette(routes=_routes(cluster), exception_handlers=handlers, lifespan=lifespan), token)


def _routes(cluster: Cluster) -> list[BaseRoute]:
    pod = "/api/v1/namespaces/{namespace}/pods/{name}"
    return [
        *(Route(path, _text("ok")) for path in OPEN_PATHS),
        # kubectl asks without the slash, the Python client with it.
        *(Route(path, _answer(discovery.version)) for path in ("/version", "/version/")),
        Route("/api", _answer(discovery.core_versions)),
        Route("/apis", _answer(discovery.groups)),
        Route("/api/v1", _answer(discovery.resources)),
        Route(reviews.ACCESS_PATH, reviews.access, methods=["POST"]),
        Route(reviews.USER_PATH, reviews.user, methods=["POST"]),
        Route("/openapi/v3", _answer(discovery.openapi_index)),
        Route("/openapi/v3/api/v1", _answer(discovery.openapi)),
        Route(f"{pod}/log", cluster.log.get),
        Route(f"{pod}/eviction", cluster.evictions.create, methods=["POST"]),
        WebSocketRoute(f"{pod}/exec", cluster.exec.serve),
        Route("/api/v1/namespaces/{namespace}/{plural}", cluster.resources.collection, methods=_METHODS),
        Route("/api/v1/namespaces/{namespace}/{plural}/{name}", cluster.resources.item, methods=_METHODS),
        Route("/api/v1/{plural}", cluster.resources.collection, methods=_METHODS),
        Route("/api/v1/{plural}/{name}", cluster.resources.item, methods=_METHODS),
        Route("/{path:path}", _nothing, methods=_METHODS),
    ]


def _answer(make: Callable[[], Obj]) -> Answer:
    async def handle(_: Request) -> Response:
        return JSONResponse(make())

    return handle


def _text(text: str) -> Answer:
    async def handle(_: Request) -> Response:
        return PlainTextResponse(text)

    return handle


async def _nothing(_: Request) -> Response:
    raise status.no_such_path()


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, status.ApiError)
    return JSONResponse(error.body(), error.status)


async def _broken(request: Request, error: Exception) -> Response:
    _log.error("%s %s broke down", request.method, request.url.path, exc_info=error)
    return JSONResponse(status.ApiError(500, "InternalError", "the local cluster broke down on this").body(), 500)
