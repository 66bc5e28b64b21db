"""Hostile HTTP requests to the front door: multipart bodies, patches, queries and headers as no client writes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import quote

from fuzz.manifests import hostile_manifest, real_manifests
from fuzz.scalars import NUMBERS, QUOTED, WORDS
from fuzz.zipforge import Member, forged
from fuzz.zips import hostile_zip

_BOUNDARY = "b0undary"
_PARTS = ("manifest", "zip", "account", "experiment", "set", "", "manifest[]", "\0")
_SETS = (
    "lr=0.1,0.01",
    "lr",
    "=",
    "lr=",
    "=1",
    "lr=" + "1," * 5000,
    "lr=nan",
    "lr=1e999",
    "lr=" + "9" * 5000,
    "a\0=b\0",
    "lr=\ud83d",
    "a=1\n",
)
_QUERIES = (
    "limit",
    "offset",
    "state",
    "name",
    "experiment",
    "framework",
    "since",
    "follow",
    "last",
    "x",
    "",
)
_MOMENTS = (
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "0001-01-01",
    "1e300",
    "-1",
    "99999999999999",
    "2026-02-30",
    "2026-11-21T24:00:00Z",
    "1e10",
    "-62135596800",
    "253402300799",
    "NaN",
    "Infinity",
)
_PATCHES: tuple[Any, ...] = (
    [],
    {},
    None,
    "x",
    0,
    [[]],
    [None],
    [{}],
    [{"op": "replace"}],
    [{"op": "replace", "path": "/status/state", "value": "canceled"}],
    [{"op": "replace", "path": "/state", "value": ["paused"]}],
    [{"op": "replace", "path": "/state", "value": {"a": 1}}],
    [{"op": "replace", "path": "/state", "value": float("nan")}],
    [{"op": "replace", "path": "/state", "value": "paused"}],
    [{"op": "remove", "path": "/\0"}] * 2,
    [{"op": 1, "path": 2, "value": 3}],
    [{"op": "replace", "path": "/state", "value": 10**400}],
    {"dry_run": "maybe"},
    {"dry_run": True},
    {"due": 1e308, "version": "\0", "failure": "x" * 99999},
    {"due": float("inf")},
    {"due": "nan"},
)


@dataclass(frozen=True)
class Asked:
    """A request as it goes over the wire; `path` is quoted and has its query."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


def hostile_request(rng: Random, ids: tuple[str, ...]) -> Asked:
    """Make one request; `ids` are of runs that there are."""
    make = rng.choice(
        (_submission, _submission, _torn_submission, _odd_submission, _patch, _patch, _look, _look, _odd_headers)
    )
    return make(rng, ids)


def _submission(rng: Random, ids: tuple[str, ...]) -> Asked:
    """A multipart body in good shape with hostile content in it."""
    manifest = rng.choice((hostile_manifest, lambda rng: rng.choice(real_manifests())))(rng)
    model = hostile_zip(rng) if rng.random() < 0.3 else forged([Member(b"train.py", b"print()")])
    parts = [("manifest", _filename(rng), manifest)] * rng.choice((1, 1, 2, 101)) + [("zip", _filename(rng), model)]
    parts += [
        (name, "", _text(rng).encode("utf-8", "replace"))
        for name in rng.sample(("account", "experiment"), rng.randrange(3))
    ]
    parts += [("set", "", rng.choice(_SETS).encode("utf-8", "replace")) for _ in range(rng.randrange(3))]
    key = (
        {"idempotency-key": rng.choice(("k", "x" * 200, "x" * 201, "../../x", "é", "a\tb"))}
        if rng.random() < 0.3
        else {}
    )
    return Asked("POST", "/models", {**_multipart(), **key}, _joined(parts))


def _odd_submission(rng: Random, ids: tuple[str, ...]) -> Asked:
    """Parts are missing, doubled, or files where text belongs; there may be a thousand."""
    count = rng.choice((0, 1, 3, 1100))
    names = [rng.choice((*_PARTS, "manifest", "zip")) for _ in range(count)]
    size = rng.choice((0, 10, 200_000 if count < 9 else 10))
    return Asked("POST", "/models", _multipart(), _joined([(name, _filename(rng), b"x" * size) for name in names]))


def _torn_submission(rng: Random, ids: tuple[str, ...]) -> Asked:
    """The body breaks off, or is not what its type says."""
    body = _joined([("manifest", "a.yaml", real_manifests()[0]), ("zip", "m.zip", b"PK\x03\x04")])
    kind = rng.choice(
        (
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=other",
            "multipart/mixed; boundary=" + _BOUNDARY,
            "multipart/form-data; boundary=" + "x" * 9000,
            "multipart/form-data; boundary=" + _BOUNDARY,
            "application/x-www-form-urlencoded",
            "application/json",
            "text/plain",
            "",
            "multipart/form-data; charset=utf-99; boundary=" + _BOUNDARY,
            "é/ü",
        )
    )
    spoil: tuple[Callable[[bytes], bytes], ...] = (
        lambda body: body[: rng.randrange(len(body))],
        lambda body: body.replace(b"\r\n", b"\n"),
        lambda body: body.replace(b"form-data", rng.choice((b"", b"file", b"form-data" * 2000))),
        lambda body: body.replace(
            b'name="manifest"', rng.choice((b"name=", b"", b'name="' + b"x" * 70_000 + b'"', b"name*=utf-8''%ff"))
        ),
        lambda body: body + b"more",
        lambda body: b"manifest=a&zip=b&zip=%ff" + b"&" * 2000,
        lambda body: body,
    )
    return Asked("POST", "/models", {"content-type": kind} if kind else {}, rng.choice(spoil)(body))


def _patch(rng: Random, ids: tuple[str, ...]) -> Asked:
    path = rng.choice(
        (
            f"/models/{_id(rng, ids)}",
            f"/schedules/{_id(rng, ids)}",
            f"/schedules/{_id(rng, ids)}/looks",
            "/housekeeping",
        )
    )
    bodies = (
        json.dumps(rng.choice(_PATCHES)).encode(),
        b"",
        b"[",
        b"\xff",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"\xff\xfe[\0]\0",
        b"nul",
        b"1" * 5000,
    )
    body = bodies[0] if rng.random() < 0.6 else rng.choice(bodies)
    kind = rng.choice(("application/json", "application/json", "application/json-patch+json", "text/plain", ""))
    return Asked(
        "POST" if path.endswith(("looks", "housekeeping")) else "PATCH",
        path,
        {"content-type": kind} if kind else {},
        body,
    )


def _look(rng: Random, ids: tuple[str, ...]) -> Asked:
    place = rng.choice(
        (
            "/models",
            "/models",
            "/schedules",
            "/models/{}",
            "/models/{}/logs",
            "/models/{}/results",
            "/models/{}/results/{}",
            "/schedules/{}",
            "/datasets",
            "/quota",
            "/frameworks",
            "/nothing/{}",
        )
    )
    path = place.replace("{}", _id(rng, ids), 1).replace("{}", quote(_text(rng), errors="replace"))
    values = (*NUMBERS, *WORDS, *_MOMENTS, *QUOTED, "1000", "running", "true", "2026-01-01")
    pairs = [
        f"{rng.choice(_QUERIES)}={quote(rng.choice(values)[:6000], errors='replace')}" for _ in range(rng.randrange(4))
    ]
    # A log that is followed has no end where its run has none.
    pairs = [pair for pair in pairs if not pair.startswith("follow")]
    return Asked(
        rng.choice(("GET", "GET", "GET", "HEAD", "PUT", "OPTIONS")), path + "?" * bool(pairs) + "&".join(pairs)
    )


def _odd_headers(rng: Random, ids: tuple[str, ...]) -> Asked:
    asked = _look(rng, ids)
    header, value = rng.choice(
        (
            ("range", rng.choice(("bytes=0-", "bytes=" + "9" * 18 + "-", "bytes=٣-", "bytes=-", "x" * 9000))),
            (
                "authorization",
                rng.choice(
                    (
                        "Bearer",
                        "Bearer  ",
                        "bearer a.b.c",
                        "Basic eA==",
                        "Bearer " + "x" * 9000,
                        "Bearer é",
                        "Bearer eyJhbGciOiJub25lIn0.e30.",
                    )
                ),
            ),
            ("accept", "x" * 100),
            ("accept-encoding", "gzip;q=x"),
            ("cookie", "_token=" + "x" * 5000),
            ("x-forwarded-for", "\x7f"),
        )
    )
    return Asked(asked.method, asked.path, {**asked.headers, header: value}, asked.body)


def _id(rng: Random, ids: tuple[str, ...]) -> str:
    return rng.choice(ids) if rng.random() < 0.6 else quote(_text(rng) or "x", safe="", errors="replace")


def _text(rng: Random) -> str:
    return rng.choice(rng.choice((NUMBERS, WORDS, QUOTED)))[:5000]


def _filename(rng: Random) -> str:
    return rng.choice(("a.yaml", "", "../../x", "‮lmay.x", "a\\b", "x" * 5000, "a.yaml", "%00"))


def _multipart() -> dict[str, str]:
    return {"content-type": f"multipart/form-data; boundary={_BOUNDARY}"}


def _joined(parts: list[tuple[str, str, bytes]]) -> bytes:
    body = b"".join(_part(*part) for part in parts)
    return body + f"--{_BOUNDARY}--\r\n".encode()


def _part(name: str, filename: str, content: bytes) -> bytes:
    file = f'; filename="{filename}"' if filename else ""
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
    return head.encode("utf-8", "replace") + content + b"\r\n"
