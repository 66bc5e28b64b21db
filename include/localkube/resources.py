"""The verbs on objects: get, list, watch; on pods and secrets create and delete; on pods patch and evict."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from localkube import errors
from localkube.changes import new_pod, patched
from localkube.kubelet import Kubelet
from localkube.listing import Test, selection, table
from localkube.objects import KINDS, Key, Kind, Obj, is_finished, key_of, set_condition
from localkube.secrets import new_secret
from localkube.store import Store
from localkube.validation import checked_pod
from localkube.watch import WatchRequest, watch

_MAX_BODY = 3 * 1024 * 1024  # what a real API server takes


class Resources:
    """`schedule` is called when a pod may be waiting for the node."""

    def __init__(self, store: Store, kubelet: Kubelet, schedule: Callable[[], None]) -> None:
        self._store = store
        self._kubelet = kubelet
        self._schedule = schedule

    async def collection(self, request: Request) -> Response:
        """Answer requests to all objects of a kind."""
        kind = _kind_of(request)
        if request.method == "POST":
            return await self._create(kind, request)
        if request.method == "DELETE":
            return await self._delete_all(kind, request)
        _allow(kind, "list" if request.method == "GET" else "update")
        return self._watch(kind, request) if flag(request, "watch") else self._list(kind, request)

    async def item(self, request: Request) -> Response:
        """Answer requests to one object."""
        kind = _kind_of(request)
        key = Key(kind.plural, request.path_params.get("namespace", ""), request.path_params["name"])
        obj = self._store.get(key)
        if request.method == "GET":
            return JSONResponse(self._shown(kind, request)(obj))
        if request.method == "DELETE":
            _allow(kind, "delete")
            return JSONResponse(self._delete(kind, obj, request, await _options(request)))
        _allow(kind, "patch" if request.method == "PATCH" else "update")
        return await self._patch(key, request)

    async def evict(self, request: Request) -> Response:
        """Answer `POST …/pods/NAME/eviction`: say in the pod's status why it goes, then delete it.

        Budgets that could refuse it do not exist here. Raise ApiError 404 for a pod that is not there.
        """
        key = Key("pods", request.path_params["namespace"], request.path_params["name"])
        options = _checked_options((await object_body(request)).get("deleteOptions"))
        pod = self._store.get(key)
        _check_preconditions(key, pod, options)
        if not (_is_dry_run(request) or options.get("dryRun")):
            if not is_finished(pod):
                self._store.modify(key, _mark_evicted)
            self._kubelet.delete(key, options.get("gracePeriodSeconds"))
        return JSONResponse({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}, 201)

    # Read

    def _list(self, kind: Kind, request: Request) -> Response:
        found = self._selected(kind, request)
        if _wants_table(request):
            return JSONResponse(table(kind.plural, found, self._store.version))
        return JSONResponse(self._list_of(kind, found))

    def _list_of(self, kind: Kind, found: list[Obj]) -> Obj:
        metadata = {"resourceVersion": str(self._store.version)}
        return {"kind": f"{kind.name}List", "apiVersion": "v1", "metadata": metadata, "items": found}

    def _selected(self, kind: Kind, request: Request) -> list[Obj]:
        matches = _test(request)
        return [obj for obj in self._store.all(kind.plural, request.path_params.get("namespace", "")) if matches(obj)]

    def _watch(self, kind: Kind, request: Request) -> Response:
        if flag(request, "sendInitialEvents"):
            # This answer makes clients list first, and watch then.
            raise errors.ApiError(422, "Invalid", "sendInitialEvents is not supported")
        namespace, since = request.path_params.get("namespace", ""), number(request, "resourceVersion") or 0
        wanted = WatchRequest(kind.plural, namespace, _test(request), since, number(request, "timeoutSeconds"))
        lines = watch(self._store, wanted, self._shown(kind, request))
        return StreamingResponse(lines, media_type="application/json")

    def _shown(self, kind: Kind, request: Request) -> Callable[[Obj], Obj]:
        """Return how this client wants to see an object: as it is, or as a table of one row."""
        if not _wants_table(request):
            return lambda obj: obj
        return lambda obj: table(kind.plural, [obj], self._store.version)

    # Write

    async def _create(self, kind: Kind, request: Request) -> Response:
        _allow(kind, "create")
        namespace = request.path_params["namespace"]
        self._store.get(Key("namespaces", "", namespace))
        if kind.plural == "secrets":
            secret = new_secret(await object_body(request), namespace)
            return JSONResponse(secret if _is_dry_run(request) else self._store.create(kind.plural, secret), 201)
        pod = new_pod(checked_pod(await object_body(request), namespace))
        if _is_dry_run(request):
            return JSONResponse(pod, 201)
        created = self._store.create("pods", pod)
        self._schedule()
        return JSONResponse(created, 201)

    async def _patch(self, key: Key, request: Request) -> Response:
        patch, content_type = await object_body(request), request.headers.get("content-type", "")
        new = patched(key.plural, self._store.get(key), patch, content_type)
        if _is_dry_run(request):
            return JSONResponse(new)
        return JSONResponse(self._store.modify(key, lambda obj: obj.update(new)))

    async def _delete_all(self, kind: Kind, request: Request) -> Response:
        _allow(kind, "deletecollection")
        options = await _options(request)
        found = self._selected(kind, request)
        for pod in found:
            self._delete(kind, pod, request, options)
        return JSONResponse(self._list_of(kind, found))

    def _delete(self, kind: Kind, obj: Obj, request: Request, options: Obj) -> Obj:
        key = key_of(kind.plural, obj)
        _check_preconditions(key, obj, options)
        if _is_dry_run(request) or options.get("dryRun"):
            return obj
        if kind.plural == "secrets":
            return self._store.remove(key)
        grace = number(request, "gracePeriodSeconds")
        return self._kubelet.delete(key, options.get("gracePeriodSeconds") if grace is None else grace)


async def object_body(request: Request) -> Obj:
    """Return the body. Raise ApiError 415 for protobuf and YAML, 413 for too much, 400 for no JSON object."""
    body = await _json_body(request)
    if not isinstance(body, dict):
        raise errors.bad_request("the body is not an object")
    return body


def flag(request: Request, name: str) -> bool:
    return request.query_params.get(name, "").lower() in ("1", "true")


def number(request: Request, name: str) -> int | None:
    """Return a whole number of the query, None if it is not there. Raise ApiError 400 for another text."""
    text = request.query_params.get(name)
    if not text:
        return None
    if not text.isdecimal():
        raise errors.bad_request(f"invalid value for {name}: {text!r} is not a whole number")
    return int(text)


async def _json_body(request: Request) -> Any:
    content_type = request.headers.get("content-type", "application/json")
    if "json" not in content_type:
        raise errors.ApiError(415, "UnsupportedMediaType", f"the body must be JSON, not {content_type}")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY:
            raise errors.ApiError(413, "RequestEntityTooLarge", f"the body has more than {_MAX_BODY} bytes")
    try:
        return json.loads(body) if body.strip() else None
    except (ValueError, RecursionError):
        raise errors.bad_request("the body is not JSON") from None


async def _options(request: Request) -> Obj:
    """Return the options of a deletion, whose body may be missing."""
    return _checked_options(await _json_body(request))


def _checked_options(options: Any) -> Obj:
    options = options or {}
    if not isinstance(options, dict) or not isinstance(options.get("preconditions") or {}, dict):
        raise errors.bad_request("the options and their preconditions have to be objects")
    grace = options.get("gracePeriodSeconds")
    if grace is not None and type(grace) is not int:
        raise errors.bad_request("gracePeriodSeconds has to be a whole number")
    return options


def _kind_of(request: Request) -> Kind:
    """Return the kind that the path names. Raise ApiError 404 for a kind or a place of it that there is not."""
    kind = KINDS.get(request.path_params["plural"])
    has_namespace = "namespace" in request.path_params
    wants_one_namespace = "name" in request.path_params or request.method == "POST"
    if kind is None or (has_namespace and not kind.namespaced):
        raise errors.no_such_path()
    if kind.namespaced and not has_namespace and wants_one_namespace:
        raise errors.no_such_path()
    return kind


def _allow(kind: Kind, verb: str) -> None:
    if verb not in kind.verbs:
        raise errors.not_allowed(verb)


def _test(request: Request) -> Test:
    parameters = request.query_params
    return selection(parameters.get("labelSelector", ""), parameters.get("fieldSelector", ""))


def _wants_table(request: Request) -> bool:
    return "as=Table" in request.headers.get("accept", "")


def _is_dry_run(request: Request) -> bool:
    return request.query_params.get("dryRun", "") == "All"


def _check_preconditions(key: Key, obj: Obj, options: Obj) -> None:
    """Raise ApiError 409 where an object is not the one, or not the version of it, that is to be deleted."""
    for field, wanted in (options.get("preconditions") or {}).items():
        if wanted and wanted != (found := obj["metadata"].get(field)):
            why = f"Precondition failed: {field} in precondition: {wanted}, in object meta: {found}"
            raise errors.conflict(key.plural, key.name, why)


def _mark_evicted(pod: Obj) -> None:
    set_condition(pod, "DisruptionTarget", True, "EvictionByEvictionAPI", "Eviction API: evicting")
