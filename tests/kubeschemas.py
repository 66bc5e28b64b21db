"""Kubernetes' own schemas, as kubernetes_validate brings them; it would read all of a version again for each object."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

_SCHEMAS = files("kubernetes_validate") / "kubernetes-json-schema"


def check(one: dict[str, Any], version: str) -> None:
    """Raise jsonschema's ValidationError unless a server of this version, `1.34`, takes the object as it is."""
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", one["apiVersion"])  # rbac.authorization.k8s.io/v1: rbac-v1
    _validator(f"{one['kind'].lower()}-{group}", version).validate(one)


@cache
def _validator(kind: str, version: str) -> Draft202012Validator:
    schema = _read(kind, version)
    registry: Registry[Any] = Resource.from_contents(schema) @ _definitions(version)
    return Draft202012Validator(schema, registry=registry)


@cache
def _definitions(version: str) -> Registry[Any]:
    made: Registry[Any] = Resource.from_contents(_read("_definitions", version)) @ Registry()
    return made


def _read(name: str, version: str) -> Any:
    (folder,) = [each for each in _SCHEMAS.iterdir() if re.fullmatch(rf"v{version}(\.\d+)?-local-strict", each.name)]
    return json.loads((folder / f"{name}.json").read_text("utf-8"))
