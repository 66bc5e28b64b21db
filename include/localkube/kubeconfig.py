"""The file that kubectl and the clients find the cluster by, and the token in it."""

from __future__ import annotations

import base64
import json
import secrets
from pathlib import Path

from localkube.tls import write_private

_NAME = "trainyard-local"


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
        "contexts": [{"name": _NAME, "context": {"cluster": _NAME, "user": _NAME, "namespace": "default"}}],
    }
    write_private(path, json.dumps(content, indent=2).encode() + b"\n")
