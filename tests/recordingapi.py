"""A way to a Kubernetes API that writes down what was asked of it, as access rules name it."""

from __future__ import annotations

import json
import re
import ssl
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit

import yaml

_PATH = re.compile(
    r"/(?:api/v1|apis/(?P<group>[^/]+)/[^/]+)/(?:namespaces/[^/]+/)?(?P<kind>[^/]+)(?:/(?P<name>[^/]+))?"
)
_SUBRESOURCE = re.compile(r"/namespaces/[^/]+/(?P<kind>[^/]+)/[^/]+/(?P<sub>[^/]+)$")
_EVERYBODYS = ("/version", "/version/")  # no resource, and open to whoever is known
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}

Right = tuple[str, str, str]  # API group, resource, verb


def right(method: str, target: str) -> Right:
    """Return the API group, resource and verb by which the cluster decides whether a request is allowed."""
    parts = urlsplit(target)
    found = _PATH.match(parts.path)
    assert found, target
    resource = found["kind"]
    if below := _SUBRESOURCE.search(parts.path):
        resource = f"{below['kind']}/{below['sub']}"
    if method in _VERBS:
        return found["group"] or "", resource, _VERBS[method]
    if method == "DELETE":
        return found["group"] or "", resource, "delete" if found["name"] else "deletecollection"
    watching = parse_qs(parts.query).get("watch", [""])[0].lower() in ("1", "true")
    return found["group"] or "", resource, "watch" if watching else "get" if found["name"] else "list"


class RecordingApi(ThreadingHTTPServer):
    """Forwards to the server of a kubeconfig, with its authority and token; `rights` is what was asked since."""

    daemon_threads = True

    def __init__(self, kubeconfig: Path, handler: type[BaseHTTPRequestHandler] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), handler or Forward)
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.server_url, self.token = cluster["server"], user["token"]
        # Whose server it is, is not what is tested.
        self.context = ssl._create_unverified_context()
        self.rights: set[Right] = set()

    def kubeconfig(self, path: Path) -> Path:
        """Write a kubeconfig that leads here."""
        server = f"http://127.0.0.1:{self.server_address[1]}"
        named: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "recorded", "cluster": {"server": server}}],
            "users": [{"name": "recorded", "user": {}}],
            "contexts": [{"name": "recorded", "context": {"cluster": "recorded", "user": "recorded"}}],
            "current-context": "recorded",
        }
        path.write_text(json.dumps(named))
        return path


class Forward(BaseHTTPRequestHandler):
    server: RecordingApi

    def note(self) -> None:
        if self.path not in _EVERYBODYS:
            self.server.rights.add(right(self.command, self.path))

    def _forward(self) -> None:
        self.note()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {"Authorization": f"Bearer {self.server.token}"}
        headers |= {name: self.headers[name] for name in ("Content-Type", "Accept") if name in self.headers}
        request = urllib.request.Request(
            self.server.server_url + self.path, data=body or None, headers=headers, method=self.command
        )
        try:
            with urllib.request.urlopen(request, context=self.server.context, timeout=60) as answer:
                self._answer(answer)
        except HTTPError as refused:
            with refused:
                self._answer(refused)

    def _answer(self, answer: Any) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers["Content-Type"])
        self.end_headers()
        while block := answer.read1(65536):
            self.wfile.write(block)
            self.wfile.flush()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _forward  # noqa: N815 - http.server's names

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def recording_api(kubeconfig: Path) -> Iterator[RecordingApi]:
    """Serve a RecordingApi in front of the cluster of a kubeconfig."""
    with RecordingApi(kubeconfig) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
