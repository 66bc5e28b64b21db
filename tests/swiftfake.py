"""A small Swift with a Keystone v3, enough of both for python-swiftclient, in memory and on the loopback interface."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

PROJECT = "c0ffee"
DOMAIN = "998877"
REGIONS = ("dallas", "london")
# Who may sign in, and what for: all may read.
USERS = {"ada": True, "reader": False}
PAGE = 400


@dataclass
class SwiftObject:
    content: bytes
    content_type: str = "application/octet-stream"
    slo_etag: str = ""
    dlo: str = ""

    @property
    def md5(self) -> str:
        return hashlib.md5(self.content).hexdigest()

    def listed(self, name: str) -> dict[str, Any]:
        if self.dlo:
            return {"name": name, "bytes": 0, "hash": hashlib.md5().hexdigest(), "content_type": self.content_type}
        item = {"name": name, "bytes": len(self.content), "hash": self.md5, "content_type": self.content_type}
        return {**item, "hash": "0" * 32, "slo_etag": f'"{self.slo_etag}"'} if self.slo_etag else item

    def headers(self) -> dict[str, str]:
        if self.slo_etag:
            return {"ETag": f'"{self.slo_etag}"', "X-Static-Large-Object": "True"}
        if self.dlo:
            return {"ETag": f'"{self.md5[::-1]}"', "X-Object-Manifest": self.dlo}
        return {"ETag": self.md5}


class SwiftServer:
    """`containers` maps names to objects; `requests` counts what came in, by method and path."""

    def __init__(self) -> None:
        self.containers: dict[str, dict[str, SwiftObject]] = {}
        self.tokens: dict[str, str] = {}
        self.requests: list[str] = []
        self.password = 'secret with "quotes" & a : colon'
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self.root = f"http://127.0.0.1:{self._http.server_port}"
        self.endpoint = f"{self.root}/identity"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> SwiftServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


def _handler_of(server: SwiftServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 5

        def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", headers.pop("Length", str(len(body))))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

        def handle_any(self) -> None:
            self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            url = urlsplit(self.path)
            self.query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
            server.requests.append(f"{self.command} {unquote(url.path)}")
            if url.path == "/identity/v3/auth/tokens":
                return self.sign_in()
            top, _, rest = url.path.removeprefix("/swift/").removeprefix("v1/").partition("/")
            if not url.path.startswith("/swift/") or top != f"AUTH_{PROJECT}":
                return self.answer(404)
            user = server.tokens.get(self.headers.get("X-Auth-Token", ""))
            if user is None:
                return self.answer(401)
            if self.command in ("PUT", "DELETE") and not USERS[user]:
                return self.answer(403)
            container, _, key = rest.partition("/")
            return self.swift(unquote(container), unquote(key))

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815

        def sign_in(self) -> None:
            auth = json.loads(self.body)["auth"]
            user = auth["identity"]["password"]["user"]
            right = user["name"] in USERS and user["domain"] == {"name": DOMAIN}
            if not right or user["password"] != server.password or auth["scope"] != {"project": {"id": PROJECT}}:
                error = {"error": {"code": 401, "title": "Unauthorized", "message": "The request needs to sign in."}}
                return self.answer(401, json.dumps(error).encode(), Content_Type="application/json")
            token = f"token-{len(server.tokens)}"
            server.tokens[token] = user["name"]
            url = f"{server.root}/swift/v1/AUTH_{PROJECT}"
            endpoints = [{"interface": "public", "region": name, "region_id": name, "url": url} for name in REGIONS]
            catalog = [{"type": "object-store", "name": "swift", "endpoints": endpoints}]
            answer = {"token": {"methods": ["password"], "expires_at": "2099-01-01T00:00:00.000000Z"}}
            answer["token"] |= {"catalog": catalog, "user": {"id": "1", "name": user["name"]}}  # type: ignore[dict-item]
            return self.answer(201, json.dumps(answer).encode(), X_Subject_Token=token, Content_Type="application/json")

        def swift(self, container: str, key: str) -> None:
            if self.command == "PUT" and not key:
                server.containers.setdefault(container, {})
                return self.answer(201)
            if container not in server.containers:
                return self.answer(404)
            objects = server.containers[container]
            if not key:
                return self.listing(objects)
            if self.command == "PUT":
                return self.store(objects, key)
            if key not in objects:
                return self.answer(404)
            if self.command == "DELETE":
                del objects[key]
                return self.answer(204)
            found = objects[key]
            headers = {name.replace("-", "_"): value for name, value in found.headers().items()}
            return self.answer(200, found.content, **headers)

        def listing(self, objects: dict[str, SwiftObject]) -> None:
            names = sorted(name for name in list(objects) if name.startswith(self.query.get("prefix", "")))
            page = [name for name in names if name > self.query.get("marker", "")][:PAGE]
            body = json.dumps([objects[name].listed(name) for name in page]).encode()
            return self.answer(200, body, Content_Type="application/json")

        def store(self, objects: dict[str, SwiftObject], key: str) -> None:
            if self.query.get("multipart-manifest") != "put":
                objects[key] = SwiftObject(self.body, self.headers.get("Content-Type") or "")
                return self.answer(201, ETag=objects[key].md5)
            parts = []
            for segment in json.loads(self.body):
                container, name = segment["path"].lstrip("/").split("/", 1)
                part = server.containers[container][name]
                if (part.md5, len(part.content)) != (segment["etag"], segment["size_bytes"]):
                    return self.answer(400)
                parts.append(part)
            etag = hashlib.md5("".join(part.md5 for part in parts).encode()).hexdigest()
            objects[key] = SwiftObject(b"".join(part.content for part in parts), slo_etag=etag)
            return self.answer(201, ETag=f'"{etag}"')

    return Handler
