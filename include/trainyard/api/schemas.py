"""/v3/schemas: the JSON Schemas of manifests and configuration files, for editors, without signing in."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from trainyard.answers.service import Schemas
from trainyard.api.openapi import answers, refusals
from trainyard.errors import TrainyardError
from trainyard.manifest.schema import schema_data

router = APIRouter()

NAMES = ("manifest", "ffdl", "training-definition", "experiment", "frameworks", "sizes", "quotas")
_SUFFIX = ".schema.json"
# Editors that run in a browser ask from another origin.
_HEADERS = {"Access-Control-Allow-Origin": "*", "Cache-Control": "max-age=300"}
_NOT_FOUND = {status: row for status, row in refusals(404).items() if status != 401}


@router.get("/schemas", summary="List the JSON Schemas", **answers(Schemas))
def schemas(request: Request) -> dict[str, Any]:
    """List the JSON Schemas of manifests and configuration files with their addresses; nobody has to sign in."""
    resources = [
        {"name": name, "title": schema_data(name)["title"], "url": str(request.url_for("schema", name=name + _SUFFIX))}
        for name in NAMES
    ]
    return {"resources": resources, "total": len(resources)}


@router.get("/schemas/{name}", summary="Show a JSON Schema", responses=_NOT_FOUND)
def schema(name: str) -> JSONResponse:
    """Show a JSON Schema, such as `manifest.schema.json`; nobody has to sign in."""
    known = name.removesuffix(_SUFFIX)
    if known not in NAMES:
        names = ", ".join(each + _SUFFIX for each in NAMES)
        raise TrainyardError("C107", "there is no such schema", f"Ask for one of {names}.")
    return JSONResponse(schema_data(known), headers=_HEADERS, media_type="application/schema+json")
