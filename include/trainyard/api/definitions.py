"""/v3/training_definitions: store, list, show and delete the programs that experiments run."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, File, Form, Header, Query, Request, Response, UploadFile

from trainyard.answers.documents import DocumentDetails, DocumentPage
from trainyard.api.auth import CallerDep
from trainyard.api.guards.forms import FormRoute
from trainyard.api.openapi import answers, refusals
from trainyard.api.times import moment
from trainyard.api.uploads import receive
from trainyard.core.documents.documents import Documents
from trainyard.core.documents.files import Kind, Stored

router = APIRouter()
_submissions = APIRouter(route_class=FormRoute)
_MAX_A_PAGE = 1000


@_submissions.post(
    "/training_definitions",
    status_code=201,
    summary="Store a training definition",
    **answers(DocumentDetails),
    responses=refusals(400, 403, 408, 409, 413, 429),
)
async def store(
    request: Request,
    caller: CallerDep,
    manifest: Annotated[UploadFile, File(description="The training definition, YAML or JSON")],
    model_definition: Annotated[UploadFile, File(alias="zip", description="The zip with the program")],
    account: Annotated[str | None, Form(description="Whose it is; the caller's first account if not given")] = None,
    idempotency_key: Annotated[
        str, Header(max_length=200, description="The same key again gets the same definition")
    ] = "",
) -> dict[str, Any]:
    """Store a training definition with its zip, or answer with all faults at once."""
    settings = request.app.state.settings

    def stored() -> Stored:
        with tempfile.TemporaryDirectory(prefix="trainyard-") as folder:
            zip_path = Path(folder) / "model.zip"
            receive(model_definition, zip_path, settings.zip_max_bytes)
            text = manifest.file.read(settings.manifest_max_bytes + 1)
            return _documents(request).store_definition(text, zip_path, account or None, caller, idempotency_key)

    return details_json(await to_thread.run_sync(stored, limiter=request.app.state.submitting))


router.include_router(_submissions)


@router.get(
    "/training_definitions", summary="List training definitions", **answers(DocumentPage), responses=refusals(400)
)
def definitions(
    request: Request,
    caller: CallerDep,
    limit: Annotated[int, Query(ge=1, le=_MAX_A_PAGE)] = 100,
    offset: Annotated[int, Query(ge=0, le=2**62)] = 0,
) -> dict[str, Any]:
    """List the training definitions that the caller may see, in the order in which they were stored."""
    return page_json(_documents(request).all(Kind.DEFINITION, caller), limit, offset)


@router.get(
    "/training_definitions/{definition_id}",
    summary="Show a training definition",
    **answers(DocumentDetails),
    responses=refusals(404),
)
def definition(request: Request, caller: CallerDep, definition_id: str) -> dict[str, Any]:
    """Show a training definition, without its credentials."""
    return details_json(_documents(request).one(Kind.DEFINITION, definition_id, caller))


@router.delete(
    "/training_definitions/{definition_id}",
    status_code=204,
    response_class=Response,
    summary="Delete a training definition",
    responses=refusals(404),
)
def delete(request: Request, caller: CallerDep, definition_id: str) -> None:
    """Delete a training definition. Runs that were made from it stay; experiments that name it run no more."""
    _documents(request).delete(Kind.DEFINITION, definition_id, caller)


def document_json(stored: Stored) -> dict[str, Any]:
    """Return a stored document as JSON data, as the list has it."""
    found: dict[str, Any] = {
        "id": stored.id,
        "url": f"/v3/{stored.kind}/{stored.id}",
        "name": stored.name,
        "account": stored.account,
        "owner": stored.owner,
        "created_at": moment(stored.created_at),
    }
    if stored.kind is Kind.DEFINITION:
        found |= {"version_id": stored.version_id, "zip_sha256": stored.zip_sha256}
    return found


def details_json(stored: Stored) -> dict[str, Any]:
    shown = {"content": dict(stored.content), "manifest": stored.text, "warnings": list(stored.warnings)}
    return {**document_json(stored), **shown}


def page_json(found: Sequence[Stored], limit: int, offset: int) -> dict[str, Any]:
    page = [document_json(each) for each in found[offset : offset + limit]]
    return {"resources": page, "total": len(found), "limit": limit, "offset": offset}


def _documents(request: Request) -> Documents:
    documents: Documents = request.app.state.documents
    return documents
