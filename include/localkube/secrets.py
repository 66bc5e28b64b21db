"""Secrets: what is demanded of a new one, and the values that a container finds of them in its environment."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from localkube.errors import ApiError, Cause, NoSecretError, bad_request, invalid
from localkube.objects import Key, Obj
from localkube.store import Store

_MAX_BYTES = 1024 * 1024  # what a real API server takes
_KEY = re.compile(r"[A-Za-z0-9._-]{1,253}")
_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")


def new_secret(body: Obj, namespace: str) -> Obj:
    """Return a client's secret as the store gets it: `stringData` is in `data`, and defaults are filled in.

    Raise ApiError 400 where the namespace is another one, 422 with all other faults.
    """
    metadata = body.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise bad_request("metadata has to be a map")
    metadata = dict(metadata)
    if metadata.setdefault("namespace", namespace) != namespace:
        named = f"the namespace of the object ({metadata['namespace']})"
        raise ApiError(400, "BadRequest", f"{named} does not match the namespace on the request ({namespace})")
    data, texts = body.get("data") or {}, body.get("stringData") or {}
    if not all(isinstance(each, dict) for each in (data, texts)):
        raise bad_request("data and stringData have to be maps of texts")
    if causes := [*_causes(metadata, data, texts)]:
        raise invalid("Secret", str(metadata.get("name", "")), causes)
    encoded = {name: base64.b64encode(value.encode()).decode() for name, value in texts.items()}
    kept = {"immutable": True} if body.get("immutable") is True else {}
    labels = {name: metadata[name] for name in ("name", "namespace", "labels", "annotations") if name in metadata}
    return {"metadata": labels, "type": body.get("type") or "Opaque", "data": {**data, **encoded}, **kept}


def _causes(metadata: Obj, data: Obj, texts: Obj) -> Iterator[Cause]:
    name = metadata.get("name")
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        yield Cause("metadata.name", "Invalid value: a lowercase RFC 1123 subdomain is wanted")
    for field, values in (("data", data), ("stringData", texts)):
        for key, value in values.items():
            if not _KEY.fullmatch(key):
                yield Cause(f"{field}[{key[:60]}]", "Invalid value: a key has letters, digits, '-', '_' and '.'")
            # No message has the value.
            if not isinstance(value, str) or (field == "data" and _decoded(value) is None):
                yield Cause(f"{field}[{key[:60]}]", "Invalid value: it is no text, or data that is no base64")
    if sum(len(value) for value in (*data.values(), *texts.values()) if isinstance(value, str)) > _MAX_BYTES:
        yield Cause("data", f"Too long: may not be more than {_MAX_BYTES} bytes", "FieldValueTooLong")


def secret_environment(container: Obj, namespace: str, store: Store) -> dict[str, str]:
    """Return what `envFrom` brings, and the variables of `env` that name a key of a secret.

    Raise NoSecretError where a secret or its key is not there and not optional.
    """
    found: dict[str, str] = {}
    for source in container.get("envFrom") or []:
        prefix = source.get("prefix", "")
        values = _values(source["secretRef"], namespace, store)
        found |= {f"{prefix}{key}": value for key, value in values.items()}
    for variable in container.get("env") or []:
        if reference := (variable.get("valueFrom") or {}).get("secretKeyRef"):
            values, key = _values(reference, namespace, store), reference["key"]
            if key in values:
                found[variable["name"]] = values[key]
            elif not reference.get("optional"):
                raise NoSecretError(f"couldn't find key {key} in Secret {namespace}/{reference['name']}")
    return found


def _values(reference: Obj, namespace: str, store: Store) -> dict[str, str]:
    secret = store.find(Key("secrets", namespace, reference["name"]))
    if secret is None:
        if reference.get("optional"):
            return {}
        raise NoSecretError(f'secret "{reference["name"]}" not found')
    values = {key: _decoded(value) for key, value in secret["data"].items()}
    return {key: value.decode(errors="surrogateescape") for key, value in values.items() if value is not None}


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
