"""The intake DAG: its watcher, its task's way to the front door, and that it is not there without an inbox."""

from __future__ import annotations

import asyncio
import json
import runpy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest
from airflow.sdk import DAG

from trainyard.airflow.frontdoor import address_of
from trainyard.client.access import Access
from trainyard.client.rest import RestClient
from trainyard.errors import Fault, TrainyardError
from trainyard.inbox.door import HttpDoor
from trainyard.inbox.trigger import InboxTrigger

pytestmark = pytest.mark.xdist_group("airflow")

_FILE = Path(__file__).resolve().parents[2] / "dags" / "intake.py"
_LIMIT_SECONDS = 120


def _dags():
    return [one for one in runpy.run_path(str(_FILE)).values() if isinstance(one, DAG)]


class TestDag:
    def test_without_an_inbox_there_is_none(self, monkeypatch):
        monkeypatch.delenv("TRAINYARD_INBOX", raising=False)
        assert "_trigger" not in runpy.run_path(str(_FILE))
        assert _dags() == []

    def test_it_says_what_to_do_when_a_drop_stays(self, monkeypatch):
        monkeypatch.setenv("TRAINYARD_INBOX", "file:///srv/drops")
        trigger = runpy.run_path(str(_FILE))["_trigger"]
        assert trigger.serialize()[1]["url"] == "file:///srv/drops"
        assert "A drop stays in the inbox" in _FILE.read_text("utf-8")


class TestWatcher:
    @pytest.fixture
    def inbox(self, tmp_path, monkeypatch):
        monkeypatch.setenv("AIRFLOW_CONN_TRAINYARD_INBOX", json.dumps({"conn_type": "generic"}))
        return tmp_path / "drops"

    def _first_event(self, trigger):
        async def first():
            events = trigger.run()
            try:
                return await asyncio.wait_for(anext(events), _LIMIT_SECONDS)
            finally:
                await events.aclose()

        return asyncio.run(first())

    def _trigger(self, inbox, kind=InboxTrigger):
        return kind(f"file://{inbox}", "trainyard_inbox", 0.05, 86_400)

    def test_it_fires_for_what_is_there_and_again_after_a_restart(self, inbox):
        folder = inbox / "inbox" / "vision" / "one"
        folder.mkdir(parents=True)
        (folder / "m.yml").write_text("name: x")
        (folder / "model.zip").write_bytes(b"PK")
        events = [self._first_event(self._trigger(inbox)) for _ in range(2)]
        assert [event.payload["count"] for event in events] == [1, 1]
        assert events[0].payload["drops"][0]["place"] == "inbox/vision/one/"
        assert events[0].payload == events[1].payload

    def test_an_inbox_that_cannot_be_looked_at_does_not_end_it(self, inbox):
        folder, reported = inbox / "inbox" / "vision" / "one", []

        class Appearing(InboxTrigger):
            def report(self, error):
                super().report(error)
                reported.append(error)
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "m.yml").write_text("name: x")

        assert self._first_event(self._trigger(inbox, Appearing)).payload["count"] == 1
        assert len(reported) == 1

    def test_it_comes_back_from_the_database_as_it_was(self):
        trigger = InboxTrigger("https://s3.example.com/drops", "c", 5.0, 60.0)
        path, arguments = trigger.serialize()
        assert path == "trainyard.inbox.trigger.InboxTrigger"
        assert InboxTrigger(**arguments).serialize() == trigger.serialize()


class _Door(BaseHTTPRequestHandler):
    """Signs in with one password, takes one token, and answers what it is told to."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server = self.server
        if self.path == "/auth/token":
            server.signed_in += 1
            right = json.loads(body)["password"] == "right"
            return self._say(201 if right else 401, {"access_token": f"token-{server.signed_in}"})
        server.seen.append((self.path, self.headers["Idempotency-Key"], body))
        if self.headers["Authorization"] != f"Bearer token-{server.valid_token}":
            error = {"code": "C105", "message": "not valid", "hint": "", "problems": []}
            return self._say(401, {"error": error})
        if server.pauses:
            return self._say(429, {"error": {"code": "C120"}}, server.pauses.pop())
        return self._say(*server.answer)

    def _say(self, status, data, retry_after=None):
        text = (data if isinstance(data, str) else json.dumps(data)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        if retry_after:
            self.send_header("Retry-After", retry_after)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


_ACCEPTED = {"model_id": "training-1", "manifest": "name: x\n"}


class TestFrontDoor:
    @pytest.fixture
    def server(self):
        made = ThreadingHTTPServer(("127.0.0.1", 0), _Door)
        made.signed_in, made.valid_token, made.seen, made.answer = 0, 1, [], (202, _ACCEPTED)
        made.pauses = []
        thread = Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()
        made.server_close()

    @pytest.fixture
    def submit(self, server, tmp_path):
        def once(password="right", url=None):
            manifest, archive = tmp_path / "manifest", tmp_path / "archive"
            manifest.write_text("name: x")
            archive.write_bytes(b"PK zip")
            access = Access(url or f"http://127.0.0.1:{server.server_port}", username="inbox", password=password)
            with RestClient(access) as service:
                return HttpDoor(service).submit("vision", manifest, archive, "drop-1")

        return once

    def test_a_drop_is_handed_in_with_its_key(self, submit, server):
        assert submit().as_data() == _ACCEPTED
        ((path, key, body),) = server.seen
        assert (path, key) == ("/v3/models", "drop-1")
        assert all(part in body for part in (b"vision", b"name: x", b"PK zip"))

    def test_a_front_door_of_an_earlier_version_is_asked_again_after_its_upgrade(self, submit, server):
        server.answer = 202, {"model_id": "training-1"}
        with pytest.raises(TrainyardError, match="does not report the manifest") as refusal:
            submit()
        assert refusal.value.fault is Fault.SERVICE

    def test_a_token_that_has_run_out_is_renewed_once(self, submit, server):
        server.valid_token = 2
        assert submit().model_id == "training-1"
        assert server.signed_in == 2

    def test_a_pause_that_is_asked_for_is_made_within_bounds(self, submit, server):
        server.pauses = ["1"]
        assert submit().model_id == "training-1"
        server.pauses, server.valid_token = ["100000"], 2
        with pytest.raises(TrainyardError) as refusal:
            submit()
        assert (refusal.value.fault, server.pauses) == (Fault.SERVICE, [])

    def test_a_refusal_keeps_its_problems(self, submit, server):
        problem = {"message": "no name.", "hint": "Add it.", "line": 3, "code": "C101", "of a later version": 1}
        server.answer = 400, {"error": {"code": "C101", "message": "1", "hint": "2", "problems": [problem]}}
        with pytest.raises(TrainyardError) as refusal:
            submit()
        assert refusal.value.fault is Fault.CLIENT
        assert [(one.message, one.line) for one in refusal.value.problems] == [("no name.", 3)]

    @pytest.mark.parametrize("answer", [(502, "<html>"), (500, {"detail": "x"}), (400, {"error": "text"})])
    def test_an_answer_that_is_no_refusal_of_ours_is_the_services_fault(self, submit, server, answer):
        server.answer = answer
        with pytest.raises(TrainyardError, match=str(answer[0])) as refusal:
            submit()
        assert refusal.value.fault is Fault.SERVICE

    @pytest.mark.parametrize("status", [401, 403, 413, 422])
    def test_what_a_proxy_refuses_is_no_refusal_of_the_drop(self, submit, server, status):
        server.answer = status, "<html>"
        with pytest.raises(TrainyardError) as refusal:
            submit()
        assert refusal.value.fault is Fault.SERVICE

    def test_a_user_who_is_not_let_in_is_the_services_fault(self, submit, server):
        for password, valid in (("wrong", 1), ("right", 99)):
            server.valid_token = valid
            with pytest.raises(TrainyardError) as refusal:
                submit(password)
            assert refusal.value.fault is Fault.SERVICE
            assert password not in refusal.value.message + refusal.value.hint

    def test_a_front_door_that_is_down_is_the_services_fault(self, submit, server):
        with pytest.raises(TrainyardError, match="no service answers") as refusal:
            submit(url="http://127.0.0.1:9")
        assert refusal.value.fault is Fault.SERVICE

    @pytest.mark.parametrize(
        ("host", "schema", "port", "url"),
        [
            ("http://127.0.0.1:8080", None, None, "http://127.0.0.1:8080"),
            ("airflow.example.com", "https", 8443, "https://airflow.example.com:8443"),
            ("airflow", None, None, "http://airflow"),
        ],
    )
    def test_its_address_is_read_from_the_connection(self, host, schema, port, url):
        assert address_of(SimpleNamespace(host=host, schema=schema, port=port)) == url
