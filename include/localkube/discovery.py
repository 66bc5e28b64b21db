"""What the cluster says of itself: versions, kinds, and as much of a schema as kubectl asks for before it creates."""

from __future__ import annotations

import platform

from localkube.objects import KINDS, Kind, Obj

VERSION = "v1.34.0+trainyard"
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def version() -> Obj:
    """Return the answer to /version."""
    return {
        "major": "1",
        "minor": "34",
        "gitVersion": VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": f"linux/{_MACHINES.get(platform.machine(), platform.machine())}",
    }


def core_versions() -> Obj:
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def groups() -> Obj:
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": []}


def resources() -> Obj:
    """Return the answer to /api/v1: every kind with its verbs, and the subresources of pods."""
    listed = [_resource(kind) for kind in KINDS.values()]
    log = {"name": "pods/log", "singularName": "", "namespaced": True, "kind": "Pod", "verbs": ["get"]}
    execute = {"name": "pods/exec", "singularName": "", "namespaced": True, "kind": "PodExecOptions"}
    evict = {"name": "pods/eviction", "singularName": "", "namespaced": True, "kind": "Eviction", "verbs": ["create"]}
    listed += [log, {**execute, "verbs": ["create", "get"]}, {**evict, "group": "policy", "version": "v1"}]
    return {"kind": "APIResourceList", "groupVersion": "v1", "resources": listed}


def openapi_index() -> Obj:
    return {"paths": {"api/v1": {"serverRelativeURL": "/openapi/v3/api/v1"}}}


def openapi() -> Obj:
    """Return the part of a schema that tells kubectl that the server itself checks fields.

    Without it `kubectl create -f` and `apply` refuse to send anything.
    """
    paths = {_item_path(kind): {"patch": _patch_operation(kind)} for kind in KINDS.values()}
    return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": VERSION}, "paths": paths}


def _resource(kind: Kind) -> Obj:
    return {
        "name": kind.plural,
        "singularName": kind.name.lower(),
        "namespaced": kind.namespaced,
        "kind": kind.name,
        "shortNames": list(kind.short),
        "verbs": sorted(kind.verbs),
    }


def _item_path(kind: Kind) -> str:
    middle = "namespaces/{namespace}/" if kind.namespaced else ""
    return f"/api/v1/{middle}{kind.plural}/{{name}}"


def _patch_operation(kind: Kind) -> Obj:
    return {
        "parameters": [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}],
        "responses": {},
        "x-kubernetes-action": "patch",
        "x-kubernetes-group-version-kind": {"group": "", "kind": kind.name, "version": "v1"},
    }
