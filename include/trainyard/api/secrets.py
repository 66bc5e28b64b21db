"""/v3/secrets: the secrets that people keep for their programs; no answer has a value."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, SecretStr

from trainyard.answers.service import SecretAnswer, SecretList
from trainyard.api.auth import CallerDep
from trainyard.api.openapi import answers, refusals
from trainyard.api.times import moment
from trainyard.core.secrets import Secrets
from trainyard.domain.variables import KeptSecret

router = APIRouter()
Payer = Annotated[str | None, Query(description="The account whose secret it is; the caller's own if not given")]


class SecretValue(BaseModel):
    """What is to be kept."""

    model_config = ConfigDict(extra="forbid")

    value: SecretStr


@router.get("/secrets", summary="List the secrets that are kept", **answers(SecretList), responses=refusals(500))
def secrets(request: Request, caller: CallerDep) -> dict[str, Any]:
    """List the caller's secrets and those of their accounts, by name."""
    found = [_json(secret) for secret in _use_case(request).list(caller)]
    return {"resources": found, "total": len(found)}


@router.put("/secrets/{name}", summary="Keep a secret", **answers(SecretAnswer), responses=refusals(400, 403, 500))
def keep(request: Request, caller: CallerDep, name: str, body: SecretValue, account: Payer = None) -> dict[str, Any]:
    """Keep a secret for programs whose manifest names it, in the place of one of that name: `{"value": "..."}`."""
    return _json(_use_case(request).set(name, body.value.get_secret_value(), account, caller))


@router.delete(
    "/secrets/{name}",
    status_code=204,
    response_class=Response,
    summary="Forget a secret",
    responses=refusals(400, 403, 500),
)
def forget(request: Request, caller: CallerDep, name: str, account: Payer = None) -> None:
    """Forget a secret; runs that are under way keep what they have."""
    _use_case(request).remove(name, account, caller)


def _use_case(request: Request) -> Secrets:
    found: Secrets = request.app.state.secrets
    return found


def _json(secret: KeptSecret) -> dict[str, Any]:
    return {
        "name": secret.name,
        "account": secret.holder.name if secret.holder.kind == "account" else None,
        "changed_at": moment(secret.changed_at),
        "changed_by": secret.changed_by,
    }
