"""Who gets in: the server's certificate, the token, the kubeconfig that holds both, and the check of each request."""

from __future__ import annotations

import base64
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from localkube.config import NAMESPACE
from localkube.errors import ApiError

OPEN_PATHS = ("/healthz", "/livez", "/readyz")
USER = "localkube"
_NAME = "localkube"


@dataclass(frozen=True)
class Certificates:
    """Paths of the authority's certificate and of the server's certificate and key."""

    authority: Path
    server: Path
    key: Path


def make_certificates(folder: Path) -> Certificates:
    """Return the certificates below a folder, made on the first call. The authority's key is not kept."""
    paths = Certificates(folder / "ca.crt", folder / "server.crt", folder / "server.key")
    if not all(path.exists() for path in (paths.authority, paths.server, paths.key)):
        # Here and not above: the server needs it once in its folder's life, and it costs memory.
        import trustme

        authority = trustme.CA(organization_name=_NAME, organization_unit_name="authority", path_length=0)
        server = authority.issue_cert(
            "localhost", "127.0.0.1", organization_name=_NAME, organization_unit_name="server", common_name="127.0.0.1"
        )
        write_private(paths.authority, authority.cert_pem.bytes())
        write_private(paths.server, server.cert_chain_pems[0].bytes())
        write_private(paths.key, server.private_key_pem.bytes())
    return paths


def make_token(path: Path) -> str:
    """Return the cluster's token, made on the first call."""
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32).encode())
    return path.read_text().strip()


def write_kubeconfig(path: Path, port: int, authority: Path, token: str) -> None:
    """Write a kubeconfig with the authority's certificate and the token inside. JSON is YAML."""
    certificate = base64.b64encode(authority.read_bytes()).decode()
    cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority-data": certificate}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": _NAME,
        "clusters": [{"name": _NAME, "cluster": cluster}],
        "users": [{"name": _NAME, "user": {"token": token}}],
        "contexts": [{"name": _NAME, "context": {"cluster": _NAME, "user": _NAME, "namespace": NAMESPACE}}],
    }
    write_private(path, json.dumps(content, indent=2).encode() + b"\n")


def write_private(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all, that only its owner may read."""
    aside = path.with_name(path.name + ".new")
    with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    aside.replace(path)


class BearerAuth:
    """Wraps an application so that requests and websockets without the token get a 401."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"] in OPEN_PATHS or self._has_token(scope):
            await self._app(scope, receive, send)
            return
        error = ApiError(401, "Unauthorized", "Unauthorized")
        await JSONResponse(error.body(), error.status)(scope, receive, send)

    def _has_token(self, scope: Scope) -> bool:
        shown = Headers(scope=scope).get("authorization", "").encode("latin-1")
        return hmac.compare_digest(shown, self._expected)
