"""What every adapter of the port to object stores says when it cannot do what it is asked for."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from everystore import DEEDS, get, put, refused
from storeservers import Bucket, wait_for

from trainyard.domain.training import Credentials
from trainyard.stores.base import Store, Why


def test_a_missing_object_is_named(store: Store) -> None:
    error = refused(store, "get")
    assert (error.why, error.code.code) == (Why.NO_KEY, "C103")
    assert "'a'" in error.message


@pytest.mark.parametrize("action", DEEDS)
def test_a_missing_bucket_is_refused_with_its_name_and_endpoint(bucket: Bucket, action: str) -> None:
    error = refused(bucket.missing(), action)
    assert (error.why, error.code.code) == (Why.NO_BUCKET, "C103")
    assert error.message == f"there is no bucket no-such-bucket at {bucket.ref.endpoint}"
    assert error.hint


@pytest.mark.parametrize("action", DEEDS)
def test_a_wrong_secret_is_refused_and_not_told(remote: Bucket, action: str) -> None:
    error = refused(remote.open(credentials=Credentials(remote.credentials.user, "mistyped-secret")), action)
    assert (error.why, error.code.code) == (Why.CREDENTIALS, "C103")
    assert error.message.startswith(f"bucket {remote.ref.bucket} at {remote.ref.endpoint} refused the credentials")
    assert "mistyped-secret" not in str(error.as_dict())


def test_a_wrong_key_is_refused(remote: Bucket) -> None:
    error = refused(remote.open(credentials=Credentials("nobody-we-know", remote.credentials.secret)))
    assert error.why is Why.CREDENTIALS
    assert remote.credentials.secret not in str(error.as_dict())


def test_a_read_only_bucket_is_read_and_not_written(remote: Bucket) -> None:
    put(remote.open(), "a")
    store = remote.read_only()
    wait_for(lambda: [entry.key for entry in store.list()] == ["a"])
    assert get(store, "a") == b"content"
    error = refused(store, "put")
    assert (error.why, error.code.code) == (Why.FORBIDDEN, "C103")
    assert f"not allowed to write to bucket {remote.ref.bucket}" in error.message


def test_an_unreachable_endpoint_fails_in_seconds_with_a_sentence(remote: Bucket, closed_port: int) -> None:
    began = time.monotonic()
    error = refused(remote.open(replace(remote.ref, endpoint=f"http://127.0.0.1:{closed_port}")))
    assert time.monotonic() - began < 60
    assert (error.why, error.code.code, error.code.retried) == (Why.UNREACHABLE, "S302", True)
    assert "cannot be reached" in error.message
    assert error.hint


def test_a_user_and_password_in_an_endpoint_are_not_told(remote: Bucket, closed_port: int) -> None:
    endpoint = f"http://ada:hunter2@127.0.0.1:{closed_port}"
    error = refused(remote.open(replace(remote.ref, endpoint=endpoint)))
    assert "hunter2" not in str(error.as_dict())


def test_a_plain_web_page_is_told_from_a_store(remote: Bucket) -> None:
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>Welcome<br>to our endpoints</html>")

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        try:
            error = refused(remote.open(replace(remote.ref, endpoint=f"http://127.0.0.1:{server.server_port}")))
        finally:
            server.shutdown()
    assert error.why in (Why.NO_BUCKET, Why.BROKEN)
    assert error.hint.startswith("Check ")


def test_a_read_only_bucket_is_not_deleted_from(remote: Bucket) -> None:
    put(remote.open(), "a")
    store = remote.read_only()
    wait_for(lambda: [entry.key for entry in store.list()] == ["a"])
    assert refused(store, "delete").why is Why.FORBIDDEN
    assert get(remote.open(), "a") == b"content"
