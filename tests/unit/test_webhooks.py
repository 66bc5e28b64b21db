"""Webhooks against a real receiver: signed, checked, bounded, never redirected. And Apprise, in a process apart."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import socketserver
import threading
from pathlib import Path

import pytest
from webhookreceiver import receiving

from trainyard.domain.addresses import AddressPolicy
from trainyard.domain.message import Message
from trainyard.domain.notification import Address
from trainyard.notify.failing import SendError
from trainyard.notify.relay import relay
from trainyard.notify.webhook import post

SECRET = "T0kenThatNobodySees"
MESSAGE = Message("ended", "training-abc", "digits", state="completed", at=1.0)
DOCS = Path(__file__).resolve().parents[2] / "docs" / "notifications.md"


@pytest.fixture
def receiver():
    with receiving() as there:
        yield there


def allowing(port):
    return AddressPolicy(internal=(("127.0.0.1", port), ("localhost", port)))


def sent(receiver, path, policy=None, secret=SECRET):
    asyncio.run(post(Address(receiver.url(path), secret), MESSAGE, "d1", policy or allowing(receiver.port)))


def test_a_webhook_is_signed_over_its_time_and_body(receiver):
    sent(receiver, "/hook")
    ((_, headers, body),) = receiver.received
    expected = hmac.new(SECRET.encode(), f"{headers['Trainyard-Timestamp']}.".encode() + body, hashlib.sha256)
    assert headers["Trainyard-Signature"] == f"v1={expected.hexdigest()}"
    assert json.loads(body) == {"id": "d1", **MESSAGE.as_dict()}
    assert headers["Trainyard-Delivery"] == "d1"
    assert SECRET not in str(headers) + body.decode()


def test_without_a_secret_the_address_is_the_key(receiver):
    sent(receiver, "/hook", secret="")
    ((_, headers, body),) = receiver.received
    key = receiver.url("/hook").encode()
    expected = hmac.new(key, f"{headers['Trainyard-Timestamp']}.".encode() + body, hashlib.sha256).hexdigest()
    assert headers["Trainyard-Signature"] == f"v1={expected}"


def test_the_example_of_the_docs_takes_what_is_sent_and_nothing_else(receiver):
    sent(receiver, "/hook")
    ((_, headers, body),) = receiver.received
    code = re.search(r"```python\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)[1]
    names = {}
    exec(code, names)
    genuine, now = names["is_genuine"], int(headers["Trainyard-Timestamp"])
    assert genuine(headers, body, SECRET, now)
    assert not genuine(headers, body + b" ", SECRET, now)
    assert not genuine(headers, body, SECRET + "x", now)
    assert not genuine(headers, body, SECRET, now + 3600)
    assert not genuine({**headers, "Trainyard-Timestamp": str(now + 1)}, body, SECRET, now)


@pytest.mark.parametrize(
    ("answer", "reason"), [(500, "it answers 500"), (404, "it answers 404"), ("/other", "it answers 307, a redirect")]
)
def test_whatever_is_no_yes_is_a_failure_and_no_redirect_is_followed(receiver, answer, reason):
    receiver.answers["/hook"] = answer
    with pytest.raises(SendError, match=reason) as failure:
        sent(receiver, "/hook")
    assert not failure.value.for_good
    assert [path for path, _, _ in receiver.received] == ["/hook"]


def test_an_address_inside_gets_nothing_whatever_its_name_is(receiver):
    with pytest.raises(SendError, match="it is a loopback address"):
        sent(receiver, "/hook", AddressPolicy())
    named = Address(f"http://localhost:{receiver.port}/hook")
    with pytest.raises(SendError, match="not allowed"):
        asyncio.run(post(named, MESSAGE, "d1", AddressPolicy()))
    assert receiver.received == []


def test_a_failure_tells_nothing_of_the_address():
    with pytest.raises(SendError) as failure:
        asyncio.run(post(Address(f"http://127.0.0.1:1/{SECRET}"), MESSAGE, "d1", allowing(1)))
    assert str(failure.value) == "no connection to it can be made"


class Mailbox(socketserver.StreamRequestHandler):
    """As much of SMTP as one mail takes."""

    def handle(self):
        self.wfile.write(b"220 here\r\n")
        told = []
        for line in self.rfile:
            told.append(line)
            if line.upper().startswith(b"DATA"):
                self.wfile.write(b"354 go\r\n")
                told += iter(self.rfile.readline, b".\r\n")
                self.server.mails.append(b"".join(told))
            self.wfile.write(b"221 bye\r\n" if line.upper().startswith(b"QUIT") else b"250 fine\r\n")


@pytest.fixture
def mailbox():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mailbox) as server:
        server.daemon_threads, server.mails = True, []
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


class TestApprise:
    def test_a_mail_arrives_through_a_process_of_its_own(self, mailbox):
        port = mailbox.server_address[1]
        url = f"mailto://127.0.0.1:{port}?to=ada@example.com&from=trainyard@example.com&mode=insecure"
        asyncio.run(relay(url, MESSAGE, allowing(port)))
        (mail,) = mailbox.mails
        assert b"digits has completed" in mail
        assert b"ada@example.com" in mail

    def test_it_connects_to_nothing_inside(self, mailbox):
        port = mailbox.server_address[1]
        url = f"mailto://127.0.0.1:{port}?to=ada@example.com&from=trainyard@example.com&mode=insecure"
        with pytest.raises(SendError, match="cannot be reached"):
            asyncio.run(relay(url, MESSAGE, AddressPolicy()))
        assert mailbox.mails == []

    def test_what_is_no_address_of_its_service_is_given_up(self):
        with pytest.raises(SendError, match="no address of its service") as failure:
            asyncio.run(relay("tgram://nonsense", MESSAGE, AddressPolicy()))
        assert failure.value.for_good
