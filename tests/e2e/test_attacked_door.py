"""Attacks on the running stack's web server: as a member, as an admin, and without a token."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import jwt
import pytest
from rawhttp import Raw
from yard import Yard

pytestmark = pytest.mark.xdist_group("other stack")

_FORM = {"Content_Type": "multipart/form-data; boundary=x"}
_CALLERS = ("ada", "admin", None)


@pytest.fixture(scope="module")
def url(yard: Yard) -> str:
    address: str = yard.stack.status()["api-server"]["address"]
    return address


@pytest.fixture(scope="module")
def tokens(yard: Yard, url: str) -> dict[str | None, str]:
    passwords = json.loads((yard.folder / "airflow" / "passwords.json").read_text())

    def token(name: str) -> str:
        answer = httpx.post(f"{url}/auth/token", json={"username": name, "password": passwords[name]}, timeout=120)
        found: str = answer.json()["access_token"]
        return found

    return {name: token(name) for name in _CALLERS if name}


def _headers(tokens: dict[str | None, str], caller: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens[caller]}"} if caller else {}


def _raw(url: str) -> Raw:
    host, _, port = url.removeprefix("http://").partition(":")
    return Raw((host, int(port)))


def _status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize("caller", _CALLERS)
def test_a_submission_beyond_the_bounds_is_refused_before_its_body(
    url: str, tokens: dict[str | None, str], caller: str | None
) -> None:
    length = {"Content_Length": str(200 * 2**30), "Expect": "100-continue"}
    with _raw(url) as raw:
        answer = raw.begin("POST", "/v3/models", **_FORM, **length, **_headers(tokens, caller)).answer()
    assert _status(answer) == (413 if caller else 401)


def test_of_a_body_without_a_token_nothing_reaches_the_disk(url: str, yard: Yard) -> None:
    server = yard.stack.status()["api-server"]["pid"]
    with _raw(url) as raw:
        raw.begin("POST", "/v3/models", **_FORM, Content_Length=str(200 * 2**20))
        raw.send(b'--x\r\nContent-Disposition: form-data; name="zip"; filename="z"\r\n\r\n' + bytes(4 * 2**20))
        assert [name for name in _open_files(server) if "(deleted)" in name and "/tmp" in name] == []
        assert _status(raw.answer()) == 401


def _open_files(pid: int) -> list[str]:
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found.append(str(link.readlink()))
    return found


@pytest.mark.parametrize("caller", _CALLERS)
@pytest.mark.parametrize("place", ["/api/v2/dags/housekeeping/dagRuns", "/ui/backfills/dry_run", "/auth/token"])
def test_airflow_takes_no_body_of_megabytes(
    url: str, tokens: dict[str | None, str], caller: str | None, place: str
) -> None:
    conf = {"logical_date": None, "conf": {"a": "x" * 50_000_000}}
    answer = httpx.post(url + place, json=conf, headers=_headers(tokens, caller), timeout=240)
    # What announces too much is not even looked at for its token.
    assert answer.status_code == 413


@pytest.mark.parametrize("caller", _CALLERS)
@pytest.mark.parametrize("body", [rb'{"logical_date": null, "conf": {"a": "\ud800"}}', b'{"username": "\\u0000"}'])
@pytest.mark.parametrize("place", ["/api/v2/dags/housekeeping/dagRuns", "/v3/schedules/due", "/auth/token/cli"])
def test_unstorable_text_is_malformed_everywhere(
    url: str, tokens: dict[str | None, str], caller: str | None, place: str, body: bytes
) -> None:
    headers = {"Content-Type": "application/json", **_headers(tokens, caller)}
    answer = httpx.post(url + place, content=body, headers=headers, timeout=240)
    assert answer.status_code == (400 if caller or place.startswith("/auth") else 401)


def test_unstorable_names_in_addresses_are_malformed(url: str, tokens: dict[str | None, str]) -> None:
    for place in ("/v3/models/%ED%A0%80", "/v3/models?name=%00", "/api/v2/dags/a%00b", "/api/v2/dags?dag_id=%ff"):
        assert httpx.get(url + place, headers=_headers(tokens, "ada"), timeout=120).status_code == 400


@pytest.mark.parametrize(
    "changed", [{"iss": "another"}, {"iss": None}, {"sub": "nobody-here"}, {"role": "ghost"}, {"role": None}]
)
def test_a_well_signed_token_of_nobody_counts_nowhere(
    url: str, yard: Yard, tokens: dict[str | None, str], changed: dict[str, Any]
) -> None:
    claims = jwt.decode(tokens["ada"], options={"verify_signature": False})
    forged = {key: value for key, value in {**claims, **changed}.items() if value is not None}
    signed = jwt.encode(forged, yard.secrets.jwt_secret, "HS512", headers={"kid": "not-used"})
    headers = {"Authorization": f"Bearer {signed}"}
    assert httpx.get(f"{url}/v3/models", headers=headers, timeout=120).status_code == 401
    assert httpx.get(f"{url}/api/v2/dags", headers=headers, timeout=120).status_code in (401, 403)
    same = jwt.encode(claims, yard.secrets.jwt_secret, "HS512", headers={"kid": "not-used"})
    assert httpx.get(f"{url}/v3/models", headers={"Authorization": f"Bearer {same}"}, timeout=120).status_code == 200


def test_guessing_a_password_slows_down_and_the_right_one_still_works(yard: Yard, url: str) -> None:
    def guess(way: str) -> int:
        return httpx.post(f"{url}{way}", json={"username": "mallory", "password": "guess"}, timeout=120).status_code

    statuses = [guess("/auth/token" if number % 2 else "/auth/token/cli") for number in range(8)]
    assert (statuses[0], statuses[-1]) == (401, 429)
    # Others at the same address, who signed in before, are not kept out.
    assert yard.airflow("/v3/models").status_code == 200


def test_a_connection_that_never_asks_and_headers_that_never_end_are_closed(url: str) -> None:
    with _raw(url) as raw:
        answer = raw.send(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-A: a\r\n" * 200_000).answer()
    assert not answer or _status(answer) == 400
    with _raw(url) as raw:
        assert raw.send(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ").is_closed_within(29)


def test_every_answer_has_its_security_headers(url: str, tokens: dict[str | None, str]) -> None:
    # The last three are refused by the guards of the whole server, in front of Airflow and of the pages.
    places = [("GET", "/v3/models"), ("GET", "/trainyard/"), ("GET", "/trainyard/health"), ("GET", "/trainyard/none"),
              ("POST", "/trainyard/%00"), ("PATCH", "/api/v2/%00"), ("POST", "/auth/token/%ff")]  # fmt: skip
    for caller in _CALLERS:
        for verb, place in places:
            answer = httpx.request(verb, url + place, headers=_headers(tokens, caller), timeout=120)
            assert (answer.headers["x-content-type-options"], answer.headers["cache-control"]) == (
                "nosniff",
                "no-store",
            )
            assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]


def test_a_member_who_asks_a_hundred_times_at_once_keeps_nobody_waiting(
    url: str, tokens: dict[str | None, str]
) -> None:
    places = ["/v3/models?limit=1000", "/trainyard/", "/api/v2/dags", "/trainyard/experiments"]
    over = threading.Event()

    def ask(number: int) -> list[float]:
        waits = []
        with httpx.Client(base_url=url, headers=_headers(tokens, "ada"), timeout=240) as client:
            while not over.is_set():
                waits.append(_wait(client, places[number % len(places)]))
        return waits

    with ThreadPoolExecutor(100) as pool:
        asked = [pool.submit(ask, number) for number in range(100)]
        try:
            with httpx.Client(base_url=url, headers=_headers(tokens, "admin"), timeout=240) as client:
                others = [_wait(client, "/v3/models?limit=20") for _ in range(20)]
        finally:
            over.set()
    own = [wait for each in asked for wait in each.result()]
    # Whoever asks so much waits for himself: without turns all would wait alike, on any machine.
    assert median(others) < median(own) / 2


def _wait(client: httpx.Client, place: str) -> float:
    begun = time.monotonic()
    assert client.get(place).status_code == 200
    return time.monotonic() - begun
