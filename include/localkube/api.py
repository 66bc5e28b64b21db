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

from localkube import about, errors
from localkube.access import OPEN_PATHS, USER, BearerAuth
from localkube.config import NAMESPACE, Config
from localkube.events import Events
from localkube.exec import PodExec
from localkube.kubelet import Kubelet
from localkube.machine import register_nodes
from localkube.objects import Key, Obj
from localkube.podlog import PodLog
from localkube.resources import Resources, object_body
from localkube.scheduler import Scheduler
from localkube.store import Store

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_log = logging.getLogger(__name__)
Answer = Callable[[Request], Awaitable[Response]]


class Cluster:
    """The parts of one cluster. They exist from here on, and work between `begin` and the end of its kubelet."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.store = Store(config.folder)
        events = Events(self.store)
        self.kubelet = Kubelet(self.store, config, events, self._schedule)
        self.scheduler = Scheduler(self.store, config, events, self.kubelet.start)
        self.resources = Resources(self.store, self.kubelet, self._schedule)
        self.log = PodLog(self.store, config)
        self.exec = PodExec(self.store, config)

    def begin(self) -> None:
        """Take up what an earlier server left, and give waiting pods the node."""
        register_nodes(self.store, self._config)
        if self.store.find(Key("namespaces", "", NAMESPACE)) is None:
            namespace: Obj = {"metadata": {"name": NAMESPACE}, "spec": {}, "status": {"phase": "Active"}}
            self.store.create("namespaces", namespace)
        self.kubelet.recover()
        self.scheduler.schedule()

    def _schedule(self) -> None:
        self.scheduler.schedule()


def build_app(config: Config, token: str) -> ASGIApp:
    """Return the cluster's API as an application that a server can run."""
    cluster = Cluster(config)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        cluster.begin()
        yield
        await cluster.kubelet.close()

    handlers = {errors.ApiError: _refused, Exception: _failed}
    return BearerAuth(Starlette(routes=_routes(cluster), exception_handlers=handlers, lifespan=lifespan), token)


def _routes(cluster: Cluster) -> list[BaseRoute]:
    pod = "/api/v1/namespaces/{namespace}/pods/{name}"
    return [
        *(Route(path, _healthy) for path in OPEN_PATHS),
        # kubectl asks without the slash, the Python client with it.
        *(Route(path, _answer(about.version)) for path in ("/version", "/version/")),
        Route("/api", _answer(about.core_versions)),
        Route("/apis", _answer(about.groups)),
        Route("/api/v1", _answer(about.resources)),
        Route("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", _access_review, methods=["POST"]),
        Route("/apis/authentication.k8s.io/v1/selfsubjectreviews", _user_review, methods=["POST"]),
        Route("/openapi/v3", _answer(about.openapi_index)),
        Route("/openapi/v3/api/v1", _answer(about.openapi)),
        Route(f"{pod}/log", cluster.log.get),
        Route(f"{pod}/eviction", cluster.resources.evict, methods=["POST"]),
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


async def _healthy(_: Request) -> Response:
    return PlainTextResponse("ok")


async def _access_review(request: Request) -> Response:
    return JSONResponse(about.access_review(await object_body(request)), 201)


async def _user_review(_: Request) -> Response:
    return JSONResponse(about.user_review(USER), 201)


async def _nothing(_: Request) -> Response:
    raise errors.no_such_path()


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, errors.ApiError)
    return JSONResponse(error.body(), error.status)


async def _failed(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return JSONResponse(errors.ApiError(500, "InternalError", "localkube failed on this request").body(), 500)
