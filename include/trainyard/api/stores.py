"""/v3/stores: the object stores that people keep under a name; no answer has their keys."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from trainyard.answers.service import StoreAnswer, StoreList, StoreTest
from trainyard.api.auth import CallerDep
from trainyard.api.openapi import answers, refusals
from trainyard.api.times import moment
from trainyard.core.accounts import account_for
from trainyard.core.ownstores import OwnStores
from trainyard.domain.ownstores import OwnStore
from trainyard.domain.training import Credentials
from trainyard.stores.base import Store

router = APIRouter()
Payer = Annotated[str | None, Query(description="The account whose store it is; the caller's own if not given")]


class NewStore(BaseModel):
    """What is to be kept."""

    model_config = ConfigDict(extra="forbid")

    endpoint_url: str = Field(max_length=2000)
    access_key_id: SecretStr
    secret_access_key: SecretStr
    region: str = Field(default="", max_length=100)


@router.get("/stores", summary="List the stores that are kept", **answers(StoreList), responses=refusals(500))
def stores(request: Request, caller: CallerDep) -> dict[str, Any]:
    """List the caller's stores and those of their accounts, without their keys."""
    found = [_json(store) for store in _use_case(request).list(caller)]
    return {"resources": found, "total": len(found)}


@router.put("/stores/{name}", summary="Keep a store", **answers(StoreAnswer), responses=refusals(400, 403, 500))
def keep(request: Request, caller: CallerDep, name: str, body: NewStore, account: Payer = None) -> dict[str, Any]:
    """Keep address and keys of an S3 store, in the place of one of that name; manifests name it as a connection."""
    keys = Credentials(body.access_key_id.get_secret_value(), body.secret_access_key.get_secret_value())
    return _json(_use_case(request).add(name, body.endpoint_url, body.region, keys, account, caller))


@router.delete(
    "/stores/{name}",
    status_code=204,
    response_class=Response,
    summary="Forget a store",
    responses=refusals(403, 404, 500),
)
def forget(request: Request, caller: CallerDep, name: str, account: Payer = None) -> None:
    """Forget a store; its buckets are left alone. Runs that name it and have not ended fail when they next need it."""
    _use_case(request).remove(name, account, caller)


@router.get(
    "/stores/{name}/buckets/{bucket}",
    summary="Test a store",
    **answers(StoreTest),
    responses=refusals(400, 403, 404, 429, 500),
)
async def look(request: Request, caller: CallerDep, name: str, bucket: str, account: Payer = None) -> dict[str, Any]:
    """List the beginning of a bucket with the keys that are kept: whether they open it, and whether it is empty."""
    payer = account_for(caller, account, request.app.state.service.limits()).name
    connection = _use_case(request).connection(name, account, caller)
    opened: Store = request.app.state.open_store(connection, bucket)
    requests = request.app.state.store_requests
    place = requests.take(payer)
    first = await requests.answer(request, place, partial(_first, opened))
    return {"name": name, "bucket": bucket, "empty": first is None}


def _first(store: Store) -> str | None:
    return next((entry.key for entry in store.list()), None)


def _use_case(request: Request) -> OwnStores:
    found: OwnStores = request.app.state.stores
    return found


def _json(store: OwnStore) -> dict[str, Any]:
    return {
        "name": store.name,
        "account": store.holder.name if store.holder.kind == "account" else None,
        "endpoint_url": store.endpoint,
        "region": store.region,
        "changed_at": moment(store.changed_at),
        "changed_by": store.changed_by,
    }
