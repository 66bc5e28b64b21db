"""What the command line makes of answers that are not the service's own, and of none."""

from __future__ import annotations

import json
import socket

import pytest

from trainyard.client.errors import UnreachableError
from trainyard.client.reading import error_of

pytest_plugins = ["cli_front_door"]
URL = "https://train.example"


def test_no_service_at_the_url_names_it_and_both_hints(cli, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    monkeypatch.setenv("TRAINYARD_URL", url)
    done = cli("list")
    assert done.code == 1
    assert f"no service answers at {url}: Connection refused" in done.err
    assert "`trainyard up`" in done.err
    assert "`trainyard login --url URL`" in done.err


def test_tls_where_there_is_none_is_told_apart_from_no_service(cli, front_door, monkeypatch):
    monkeypatch.setenv("TRAINYARD_URL", front_door.url.replace("http", "https"))
    done = cli("list")
    assert done.code == 1
    assert "there is no safe connection" in done.err


def test_an_error_is_json_on_stdout_in_json_mode(cli):
    done = cli("show", "training-unknown01", "-o", "json")
    assert (done.code, done.err) == (1, "")
    assert done.data["error"]["code"] == "C107"
    assert set(done.data["error"]) == {"code", "fault", "message", "hint", "cure", "problems"}


def test_wrong_usage_is_json_too(cli):
    done = cli("show", "--output", "json")
    assert done.code == 2
    assert done.data["error"]["message"] == "Missing argument 'ID'"


def test_a_page_in_place_of_the_service_is_named_as_such(cli, front_door):
    from cli_front_door import Answer

    front_door.force("GET", "/v3/models", Answer(200, b"<html>Welcome</html>", "text/html"))
    done = cli("list")
    assert done.code == 1
    assert f"what answers at {front_door.url} is no Trainyard service" in done.err


def test_json_of_another_shape_is_no_trainyard_either(cli, front_door):
    from cli_front_door import Answer

    front_door.force("GET", "/v3/models", Answer(200, {"hello": "world"}))
    assert "is no Trainyard service" in cli("list").err


def test_an_environment_with_an_unusable_certificate_file_is_told_where_to_look(cli, monkeypatch):
    monkeypatch.setenv("TRAINYARD_URL", "https://nowhere.invalid")
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    done = cli("list")
    assert done.code == 2
    assert "SSL_CERT_FILE" in done.err


def test_no_proxy_stands_before_this_machine(cli, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert cli("list").code == 0


@pytest.mark.parametrize(
    ("status", "body", "code", "words"),
    [
        (401, b'{"detail": "Invalid JWT token"}', "C105", "does not let you in: Invalid JWT token"),
        (403, b"<html>", "C106", "does not let you in"),
        (302, b"", "S500", "sends its callers elsewhere"),
        (404, b'{"detail": "Not Found"}', "S500", "there is no Trainyard service at"),
        (413, b"<html>", "C109", "refuses an upload of this size"),
        (503, b"<html>Starting</html>", "S500", "is not there (status 503)"),
        (500, b"Internal Server Error", "S500", "answers with status 500"),
        (422, b'{"detail": [{"msg": "Field required"}]}', "C110", "answers with status 422"),
        (409, b'{"error": {"code": "C999", "message": "of a newer service"}}', "C108", "of a newer service"),
        (500, b'{"error": {"code": "S303"}}', "S303", "the results could not be stored"),
        (500, b'{"error": "a sentence"}', "S500", "answers with status 500"),
    ],
)
def test_every_kind_of_answer_becomes_a_sentence_with_a_code(status, body, code, words):
    error = error_of(URL, status, body)
    assert error.code.code == code
    assert words in error.message


def test_the_hints_of_an_older_service_are_read():
    body = {"error": {"code": "C101", "message": "no", "cure": "one", "problems": [{"message": "m", "cure": "two"}]}}
    error = error_of(URL, 400, json.dumps(body).encode())
    assert (error.hint, error.problems[0].hint) == ("one", "two")


def test_a_problem_of_a_newer_service_is_read_as_far_as_it_is_known():
    body = {"error": {"code": "C101", "message": "no", "problems": [{"message": "m", "severity": 3}, "odd"]}}
    (problem,) = error_of(URL, 400, json.dumps(body).encode()).problems
    assert (problem.message, problem.hint) == ("m", "")


@pytest.mark.parametrize(("status", "sent"), [(504, True), (502, True), (404, False), (307, False)])
def test_whether_a_submission_may_have_arrived_is_kept(status, sent):
    error = error_of(URL, status, b"")
    assert isinstance(error, UnreachableError)
    assert error.sent is sent
