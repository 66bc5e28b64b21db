"""The verbs on objects: create, get, list, watch, patch, update, delete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from localkube import status
from localkube.admission import object_causes, pod_causes
from localkube.config import GPU_ANNOTATION
from localkube.defaults import new_object, new_pod, with_name
from localkube.kubelet import Kubelet
from localkube.objects import Key, Kind, Obj, key_of
from localkube.patching import patched, replacement
from localkube.requests import (
    flag,
    is_dry_run,
    json_body,
    kind_of,
    number,
    object_body,
    wants_table,
)
from localkube.selection import Test, both
from localkube.shape import OTHER, POD, check_shape, known_fields
from localkube.store import Store
from localkube.tables import table
from localkube.watch import WatchRequest, watch

_SERVER_FIELDS = ("uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "selfLink", "managedFields")


class Resources:
    """`schedule` is called when a pod may be waiting for the node."""

    def __init__(self, store: Store, kubelet: Kubelet, schedule: Callable[[], None]) -> None:
        self._store = store
        self._kubelet = kubelet
        self._schedule = schedule

    async def collection(self, request: Request) -> Response:
        """Answer requests to all objects of a kind."""
        kind = kind_of(request)
        if request.method == "POST":
            return await self._create(kind, request)
        if request.method == "DELETE":
            return await self._delete_all(kind, request)
        return self._watch(kind, request) if flag(request, "watch") else self._list(kind, request)

    async def item(self, request: Request) -> Response:
        """Answer requests to one object."""
        kind = kind_of(request)
        key = Key(kind.plural, request.path_params.get("namespace", ""), request.path_params["name"])
        obj = self._store.get(key)
        if request.method == "GET":
            shown = self._shown(kind, request)(obj) if wants_table(request) else obj
            return JSONResponse(shown)
        if request.method == "DELETE":
            options = await json_body(request) or {}
            return JSONResponse(self._delete(kind, obj, request, options))
        _allow(kind, "patch" if request.method == "PATCH" else "update")
        return await self._change(kind, key, request)

    # Create and change

    async def _create(self, kind: Kind, request: Request) -> Response:
        _allow(kind, "create")
        namespace = request.path_params.get("namespace", "")
        obj = self._admitted(kind, namespace, await object_body(request), request)
        if is_dry_run(request):
            return JSONResponse(obj, 201)
        created = self._store.create(kind.plural, obj)
        if kind.plural == "pods":
            self._schedule()
        return JSONResponse(created, 201)

    def _admitted(self, kind: Kind, namespace: str, body: Obj, request: Request) -> Obj:
        """Return a sound new object, as it goes into the store. Raise ApiError 400, 404 or 422."""
        shape = POD if kind.plural == "pods" else OTHER
        check_shape(body, shape, strict=request.query_params.get("fieldValidation") == "Strict")
        if body.get("kind", kind.name) != kind.name:
            raise status.bad_request(f"the object is a {body['kind']}, the path takes a {kind.name}")
        obj = with_name(known_fields(body, shape))
        if kind.namespaced:
            obj["metadata"] = {**obj["metadata"], "namespace": self._namespace(namespace, obj)}
        for field in _SERVER_FIELDS:
            obj["metadata"].pop(field, None)
        causes = pod_causes(obj) if kind.plural == "pods" else object_causes(obj)
        if causes:
            raise status.invalid(kind.name, obj["metadata"].get("name", ""), causes)
        return _new_pod(obj) if kind.plural == "pods" else new_object(kind.plural, obj)

    def _namespace(self, wanted: str, obj: Obj) -> str:
        named = obj["metadata"].get("namespace") or wanted
        if named != wanted:
            message = f"the namespace of the object ({named}) does not match the namespace on the request ({wanted})"
            raise status.bad_request(message)
        self._store.get(Key("namespaces", "", wanted))
        return wanted

    async def _change(self, kind: Kind, key: Key, request: Request) -> Response:
        body = await json_body(request)
        old = self._store.get(key)
        if request.method == "PATCH":
            new = patched(old, body, request.headers.get("content-type", ""))
        elif isinstance(body, dict):
            new = {**old, **{section: value for section, value in body.items() if section != "status"}}
        else:
            raise status.bad_request("the body is not an object")
        shape = POD if kind.plural == "pods" else OTHER
        check_shape(new, shape, strict=False)
        new = replacement(kind.plural, old, known_fields(new, shape))
        if causes := object_causes(new):
            raise status.invalid(kind.name, key.name, causes)
        if is_dry_run(request):
            return JSONResponse(new)
        return JSONResponse(self._store.modify(key, lambda obj: _become(obj, new)))

    # Read

    def _list(self, kind: Kind, request: Request) -> Response:
        namespace = request.path_params.get("namespace", "")
        matches = _selection(request)
        found = [obj for obj in self._store.all(kind.plural, namespace) if matches(obj)]
        if wants_table(request):
            return JSONResponse(table(kind.plural, found, self._store.version, _include(request)))
        metadata = {"resourceVersion": str(self._store.version)}
        return JSONResponse({"kind": f"{kind.name}List", "apiVersion": "v1", "metadata": metadata, "items": found})

    def _watch(self, kind: Kind, request: Request) -> Response:
        wanted = WatchRequest(
            plural=kind.plural,
            namespace=request.path_params.get("namespace", ""),
            matches=_selection(request),
            since=number(request, "resourceVersion") or 0,
            bookmarks=flag(request, "allowWatchBookmarks"),
            initial=flag(request, "sendInitialEvents"),
            **({"seconds": float(limit)} if (limit := number(request, "timeoutSeconds")) else {}),
        )
        lines = watch(self._store, wanted, self._shown(kind, request))
        return StreamingResponse(lines, media_type="application/json")

    def _shown(self, kind: Kind, request: Request) -> Callable[[Obj], Obj]:
        """Return how this client wants to see an object: as it is, or as a table of one row."""
        if not wants_table(request):
            return lambda obj: obj
        include = _include(request)
        return lambda obj: table(kind.plural, [obj], self._store.version, include)

    # Delete

    async def _delete_all(self, kind: Kind, request: Request) -> Response:
        _allow(kind, "deletecollection")
        options = await json_body(request) or {}
        matches = _selection(request)
        found = [obj for obj in self._store.all(kind.plural, request.path_params.get("namespace", "")) if matches(obj)]
        for obj in found:
            self._delete(kind, obj, request, options)
        metadata = {"resourceVersion": str(self._store.version)}
        return JSONResponse({"kind": f"{kind.name}List", "apiVersion": "v1", "metadata": metadata, "items": found})

    def _delete(self, kind: Kind, obj: Obj, request: Request, options: Any) -> Obj:
        _allow(kind, "delete")
        if not isinstance(options, dict):
            raise status.bad_request("the body is not an object")
        key = key_of(kind.plural, obj)
        check_preconditions(key, obj, options.get("preconditions") or {})
        if kind.plural == "namespaces":
            self._check_empty(key.name)
        if is_dry_run(request) or options.get("dryRun"):
            return obj
        if kind.plural != "pods":
            return status.success(kind.plural, self._store.remove(key))
        grace = number(request, "gracePeriodSeconds")
        return self._kubelet.delete(key, options.get("gracePeriodSeconds") if grace is None else grace)

    def _check_empty(self, namespace: str) -> None:
        """Deleting a namespace with all that is in it is a mistake more often than a wish."""
        held = [plural for plural in ("pods", "secrets", "configmaps") if self._store.all(plural, namespace)]
        if held or namespace == "default":
            why = f"it still holds {', '.join(held)}" if held else "the local cluster keeps it"
            raise status.conflict("namespaces", namespace, why)


def _allow(kind: Kind, verb: str) -> None:
    if verb not in kind.verbs:
        raise status.not_allowed(verb)


def _selection(request: Request) -> Test:
    parameters = request.query_params
    return both(parameters.get("labelSelector", ""), parameters.get("fieldSelector", ""))


def _include(request: Request) -> str:
    return request.query_params.get("includeObject", "Metadata")


def _new_pod(obj: Obj) -> Obj:
    """Return a new pod on which nobody but the scheduler decides where it runs."""
    pod = new_pod(obj)
    pod["spec"].pop("nodeName", None)
    (pod["metadata"].get("annotations") or {}).pop(GPU_ANNOTATION, None)
    return pod


def _become(obj: Obj, new: Obj) -> None:
    obj.clear()
    obj.update(new)


def check_preconditions(key: Key, obj: Obj, preconditions: Obj) -> None:
    """Raise ApiError 409 where an object is not the one, or not the version of it, that is to be deleted."""
    for field in ("uid", "resourceVersion"):
        wanted = preconditions.get(field)
        if wanted and wanted != obj["metadata"][field]:
            why = f"Precondition failed: {field} in precondition: {wanted}, in object meta: {obj['metadata'][field]}"
            raise status.conflict(key.plural, key.name, why)
