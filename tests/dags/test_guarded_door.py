"""The guard of the front door on a real web server: what is looked at before a body, and how a body may come."""

from __future__ import annotations

import json
import threading
from types import SimpleNamespace

import httpx
import pytest
from appasking import created_app
from frontdoorfakes import FILES, FakeService
from late import Late
from rawhttp import Raw, served
from samples import MODEL_ID

from trainyard.core.accounts import Caller
from trainyard.errors import TrainyardError

pytestmark = [
    pytest.mark.xdist_group("airflow"),
    # Starlette leaves the file of a part that broke off to the garbage collector.
    pytest.mark.filterwarnings("ignore:.*SpooledTemporaryFile:pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:Unclosed file <tempfile.SpooledTemporaryFile:ResourceWarning"),
]

doors = Late("trainyard.api.guards.door")
_TOKEN = {"Authorization": "Bearer of-somebody"}
_FORM = {"Content_Type": "multipart/form-data; boundary=x"}
_PART = b'--x\r\nContent-Disposition: form-data; name="zip"; filename="z"\r\n\r\n'
_SECURE = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


@pytest.fixture
def service():
    return FakeService()


@pytest.fixture
def caller():
    return {"is": Caller("ada")}


@pytest.fixture
def app(service, caller, monkeypatch, tmp_path):
    """The real app; whoever brings a token is who the test says."""
    settings = {"WORKSPACE": str(tmp_path / "workspace"), "ZIP_MAX_BYTES": "1MiB", "MANIFEST_MAX_BYTES": "1000",
                "MEMBER_SUBMISSIONS_PER_MINUTE": "3", "MEMBER_STREAMS": "2", "UPLOAD_SECONDS": "3600",
                "MEMBER_BYTES_PER_MINUTE": "1GiB"}  # fmt: skip
    for name, value in settings.items():
        monkeypatch.setenv(f"TRAINYARD_{name}", value)
    made = created_app()
    monkeypatch.setattr("trainyard.api.auth.get_auth_manager", lambda: _Manager(caller))
    made.state.service = service
    return made


class _NothingThere:
    """Finds nothing, whatever is asked."""

    def __getattr__(self, name):
        def asked(*_):
            raise TrainyardError("C107", "there is no such thing")

        return asked


class _Manager:
    """Takes every token for one of the caller's."""

    def __init__(self, caller):
        self._caller = caller

    async def get_user_from_token(self, _token):
        return SimpleNamespace(get_name=lambda: self._caller["is"].name)

    def is_authorized_pool(self, **_):
        return self._caller["is"].admin


@pytest.fixture
def address(app):
    with served(app) as where:
        yield where


@pytest.fixture
def http(address):
    with httpx.Client(base_url=f"http://{address[0]}:{address[1]}", headers=_TOKEN, timeout=120) as client:
        yield client


def _status(answer):
    return int(answer.split(b" ", 2)[1]) if answer else None


def _code(answer):
    return json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"]


class TestBeforeTheBody:
    @pytest.mark.parametrize(
        ("headers", "status", "code"),
        [
            ({**_FORM, "Content_Length": "200000000"}, 401, "C105"),
            ({**_FORM, "Transfer_Encoding": "chunked"}, 401, "C105"),
            ({**_FORM, **_TOKEN, "Content_Length": "200000000"}, 413, "C109"),
            ({**_FORM, **_TOKEN, "Content_Length": "9" * 18}, 413, "C109"),
            ({**_TOKEN, "Content_Length": "100", "Content_Type": "application/x-www-form-urlencoded"}, 400, "C110"),
        ],
        ids=["no token", "no token, chunked", "too large", "absurdly large", "no form"],
    )
    def test_a_submission_is_refused_although_nothing_of_its_body_came(self, address, service, headers, status, code):
        with Raw(address) as raw:
            answer = raw.begin("POST", "/models", **headers).answer()
        assert (_status(answer), _code(answer)) == (status, code)
        assert service.asked == []

    def test_going_on_is_granted_to_those_alone_who_may_send(self, address):
        length = {"Content_Length": "500000", "Expect": "100-continue"}
        with Raw(address) as raw:
            assert _status(raw.begin("POST", "/models", **_FORM, **length).head()) == 401
        with Raw(address) as raw:
            assert _status(raw.begin("POST", "/models", **_FORM, **_TOKEN, **length).head()) == 100

    def test_a_refused_client_that_goes_on_sending_is_cut_off(self, address):
        with Raw(address) as raw:
            raw.begin("POST", "/models", **_FORM, Transfer_Encoding="chunked")
            assert _status(raw.head()) == 401
            assert raw.is_closed_within(120)

    def test_json_without_a_length_is_read_up_to_its_bound(self, address):
        path = f"/models/{MODEL_ID}"
        with Raw(address) as raw:
            raw.begin("PATCH", path, **_TOKEN, Content_Type="application/json", Transfer_Encoding="chunked")
            for _ in range(40):
                raw.send(b"10000\r\n" + b" " * 65536 + b"\r\n")
            answer = raw.answer()
        assert (_status(answer), _code(answer)) == (413, "C109")

    def test_a_chunked_submission_ends_at_its_bound(self, address, service):
        with Raw(address) as raw:
            raw.begin("POST", "/models", **_FORM, **_TOKEN, Transfer_Encoding="chunked")
            raw.send(b"%x\r\n%s\r\n" % (len(_PART), _PART))
            for _ in range(60):
                raw.send(b"10000\r\n" + b"z" * 65536 + b"\r\n")
            answer = raw.answer()
        assert (_status(answer), _code(answer)) == (413, "C109")
        assert service.asked == []

    @pytest.mark.parametrize("name", ["manifest", "account"])
    def test_thousands_of_parts_are_refused(self, http, name):
        part = f'--x\r\nContent-Disposition: form-data; name="{name}"{{}}\r\n\r\n\r\n'
        parts = part.format('; filename="f"' if name == "manifest" else "") * 5000
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        answer = http.post("/models", content=parts + "--x--\r\n", headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "C110")


class TestSlowBodies:
    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch):
        monkeypatch.setattr("trainyard.api.guards.bodies._GRACE_SECONDS", 0.3)

    @pytest.mark.parametrize(("path", "form"), [("/models", _FORM), (f"/models/{MODEL_ID}", {})])
    def test_a_body_that_does_not_come_is_not_waited_for(self, address, path, form):
        method = "POST" if form else "PATCH"
        with Raw(address) as raw:
            answer = raw.begin(method, path, **_TOKEN, **form, Content_Length="1000").send(b"--x").answer()
        assert (_status(answer), _code(answer)) == (408, "C121")

    def test_a_body_that_drips_is_refused_although_it_never_stops(self, address):
        with Raw(address) as raw:
            raw.begin("POST", "/models", **_TOKEN, **_FORM, Content_Length="100000").send(_PART)
            with _dripping(raw):
                assert _status(raw.head()) == 408


class _dripping:  # noqa: N801 - used as a statement
    """Sends a byte every twentieth of a second while the block runs."""

    def __init__(self, raw):
        self._raw, self._over = raw, threading.Event()
        self._thread = threading.Thread(target=self._drip, daemon=True)

    def _drip(self):
        while not self._over.wait(0.05):
            self._raw.send(b"-")

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()


class TestLimitsOfAMember:
    def test_submissions_beyond_those_of_a_minute_are_told_when_to_come_again(self, http, caller):
        answers = [http.post("/models", files=FILES) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
        assert answers[-1].json()["error"]["code"] == "C120"
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 20
        caller["is"] = Caller("grace")
        assert http.post("/models", files=FILES).status_code == 202

    def test_storing_and_running_experiments_count_as_submissions_too(self, http, app):
        app.state.documents = app.state.experiment_runs = _NothingThere()
        answers = [http.post(f"/experiments/{name}/runs") for name in ("one", "two")]
        assert 429 not in [answer.status_code for answer in answers]
        assert http.post("/training_definitions", files=FILES).status_code != 429
        assert [http.post("/experiments", files=FILES).status_code, http.post("/models", files=FILES).status_code] == [
            429,
            429,
        ]
        assert http.post("/experiments/three/runs").status_code == 429

    def test_an_admin_is_not_limited(self, http, caller):
        caller["is"] = Caller("root", True)
        assert {http.post("/models", files=FILES).status_code for _ in range(8)} == {202}

    def test_of_streams_a_member_has_so_many_at_once(self, http, caller):
        follow = f"/models/{MODEL_ID}/logs?follow=true"
        with http.stream("GET", follow) as first, http.stream("GET", follow):
            refused = http.get(follow)
            assert (refused.status_code, refused.json()["error"]["code"]) == (429, "C120")
            assert http.get("/models").status_code == 200
            caller["is"] = Caller("grace")
            with http.stream("GET", follow) as others:
                assert (first.status_code, others.status_code) == (200, 200)

    def test_who_has_used_up_the_bytes_waits(self, app, http, service):
        service.store.contents = {"model/a": b"x" * 10}
        assert http.get(f"/models/{MODEL_ID}/results/model/a").content == b"x" * 10
        _door(app)._bytes.spend("ada", 10 * 2**30)
        answer = http.get(f"/models/{MODEL_ID}/results/model/a")
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "C120")
        assert int(answer.headers["retry-after"]) > 60


def _door(app):
    layer = app.middleware_stack
    while not isinstance(layer, doors.Door):
        layer = getattr(layer, "app", None) or layer._app
    return layer


class TestTexts:
    _BAD = (b'"\\ud800"', b'"\\u0000"', b'"\xed\xa0\x80"', b'"\xff"', b'{"\\udfff": 1}')

    @pytest.mark.parametrize("bad", _BAD)
    @pytest.mark.parametrize("place", ["op", "value"])
    def test_json_that_cannot_be_stored_is_malformed(self, http, bad, place):
        body = b'[{"op": "replace", "path": "/state", "%s": %s}]' % (place.encode(), bad)
        for path in (f"/models/{MODEL_ID}", f"/schedules/{MODEL_ID}"):
            answer = http.patch(path, content=body, headers={"Content-Type": "application/json"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "C110")

    def test_a_pair_of_surrogates_is_a_character(self, http):
        body = b'[{"op": "replace", "path": "\\ud83d\\ude00", "value": "canceled"}]'
        answer = http.patch(f"/models/{MODEL_ID}", content=body, headers={"Content-Type": "application/json"})
        assert "only /status/state" in answer.json()["error"]["message"]

    @pytest.mark.parametrize("path", ["/models/%ED%A0%80", "/models/a%00b", "/models/%ff", "/models?name=%00",
                                      "/models?name=%ED%B0%80", "/models?%c3=1"])  # fmt: skip
    def test_an_address_that_cannot_be_stored_is_malformed(self, http, path):
        answer = http.get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "C110")

    @pytest.mark.parametrize("charset", ["utf-8", "unicode_escape", "utf-7", "no-such"])
    @pytest.mark.parametrize("value", ["\\ud800", "a\0b"])
    def test_so_is_a_field_of_a_form(self, http, charset, value):
        body = (f'--x\r\nContent-Disposition: form-data; name="account"\r\n\r\n{value}\r\n'
                '--x\r\nContent-Disposition: form-data; name="manifest"; filename="m"\r\n\r\nname: x\r\n'
                '--x\r\nContent-Disposition: form-data; name="zip"; filename="z"\r\n\r\nPK\r\n--x--\r\n')  # fmt: skip
        kind = {"Content-Type": f"multipart/form-data; boundary=x; charset={charset}"}
        answer = http.post("/models", content=body.encode(), headers=kind)
        harmless = value == "\\ud800" and charset != "unicode_escape"
        assert answer.status_code == (202 if harmless else 400)


class TestSecurityHeaders:
    @pytest.mark.parametrize(
        ("path", "status"),
        [("/models", 200), ("/nothing", 404), ("/models?limit=x", 400), (f"/models/{MODEL_ID}/logs", 200),
         ("/openapi.json", 200), ("/docs", 200), ("/models/%00", 400)],
    )  # fmt: skip
    def test_every_answer_has_them(self, http, path, status):
        answer = http.get(path)
        assert answer.status_code == status
        assert {name: answer.headers[name] for name in _SECURE} == _SECURE
        assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]

    def test_also_one_without_a_token_and_one_that_failed(self, http, service):
        assert http.get("/models", headers={"Authorization": ""}).headers["cache-control"] == "no-store"
        service.refusal = RuntimeError("unforeseen")
        answer = http.get("/models")
        assert (answer.status_code, answer.json()["error"]["code"]) == (500, "S500")
        assert {name: answer.headers[name] for name in _SECURE} == _SECURE

    def test_the_page_of_the_interface_may_load_its_script(self, http):
        assert "script-src" in http.get("/docs").headers["content-security-policy"]
        assert "script-src" not in http.get("/models").headers["content-security-policy"]
