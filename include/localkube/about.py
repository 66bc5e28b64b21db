"""What the cluster says of itself and of its caller: version, kinds, a schema for kubectl, access reviews."""

from __future__ import annotations

import platform

from localkube.objects import KINDS, Kind, Obj

VERSION = "v1.34.0+localkube"
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
    listed.append(_subresource("log", "Pod", "get"))
    listed.append(_subresource("exec", "PodExecOptions", "create", "get"))
    listed.append({**_subresource("eviction", "Eviction", "create"), "group": "policy", "version": "v1"})
    return {"kind": "APIResourceList", "groupVersion": "v1", "resources": listed}


def openapi_index() -> Obj:
    return {"paths": {"api/v1": {"serverRelativeURL": "/openapi/v3/api/v1"}}}


def openapi() -> Obj:
    """Return the part of a schema that tells kubectl that the server itself checks fields.

    Without it `kubectl create -f` refuses to send anything.
    """
    parameters = [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}]
    pod = {"group": "", "kind": "Pod", "version": "v1"}
    patch = {"parameters": parameters, "responses": {}, "x-kubernetes-action": "patch"}
    paths = {"/api/v1/namespaces/{namespace}/pods/{name}": {"patch": {**patch, "x-kubernetes-group-version-kind": pod}}}
    return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": VERSION}, "paths": paths}


def access_review(asked: Obj) -> Obj:
    """Return that the caller may do what it asks about: whoever has the token may do everything there is."""
    kind = {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1"}
    return {**kind, "metadata": {}, "spec": asked.get("spec") or {}, "status": {"allowed": True}}


def user_review(user: str) -> Obj:
    kind = {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}
    return {**kind, "metadata": {}, "status": {"userInfo": {"username": user}}}


def _resource(kind: Kind) -> Obj:
    return {
        "name": kind.plural,
        "singularName": kind.name.lower(),
        "namespaced": kind.namespaced,
        "kind": kind.name,
        **({"shortNames": [kind.short]} if kind.short else {}),
        "verbs": sorted(kind.verbs),
    }


def _subresource(name: str, kind: str, *verbs: str) -> Obj:
    return {"name": f"pods/{name}", "singularName": "", "namespaced": True, "kind": kind, "verbs": list(verbs)}
