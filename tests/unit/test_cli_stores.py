"""`trainyard store`: keys come from stdin or a prompt, go to the service, and are shown by nothing."""

from __future__ import annotations

import json

import pytest

pytest_plugins = ["cli_front_door"]

_KEPT = {
    "name": "team-data",
    "account": None,
    "endpoint_url": "https://objects.example.com",
    "region": "",
    "changed_at": "2027-01-02T01:30:00Z",
    "changed_by": "ada",
}
_ADD = ("store", "add", "team-data", "--endpoint", "https://objects.example.com")


def _force(front_door, verb, status, body=None):
    from cli_front_door import Answer

    front_door.force(verb, "/v3/stores", Answer(status, body))


def test_keys_are_two_lines_of_stdin(cli, front_door):
    _force(front_door, "PUT", 200, _KEPT)
    done = cli(*_ADD, "--region", "eu-de", "--account", "vision", stdin=b"AKIA5B1C0FFEE\n5b1c0ffee secret \n")
    assert (done.code, done.err) == (0, "")
    assert front_door.paths("PUT") == ["/v3/stores/team-data?account=vision"]
    assert json.loads(front_door.received[-1]) == {
        "endpoint_url": "https://objects.example.com",
        "access_key_id": "AKIA5B1C0FFEE",
        "secret_access_key": "5b1c0ffee secret ",
        "region": "eu-de",
    }
    assert "5b1c0ffee" not in done.out


@pytest.mark.parametrize("stdin", [b"", b"one line\n"])
def test_half_of_the_keys_is_wrong_usage(cli, front_door, stdin):
    done = cli(*_ADD, stdin=stdin)
    assert (done.code, front_door.asked) == (2, [])


def test_stores_are_listed_tested_and_forgotten(cli, front_door):
    _force(front_door, "GET", 200, {"resources": [_KEPT], "total": 1})
    assert "team-data             https://objects.example.com" in cli("store", "list").out
    _force(front_door, "GET", 200, {"name": "team-data", "bucket": "digits", "empty": True})
    assert "Store team-data opens the bucket digits, which is empty" in cli("store", "test", "team-data", "digits").out
    assert front_door.paths("GET")[-1] == "/v3/stores/team-data/buckets/digits"
    _force(front_door, "DELETE", 204)
    assert cli("store", "rm", "team-data", "-o", "json").data["forgotten"] is True


def test_python_does_the_same(front_door, home):
    from trainyard import Client

    client = Client(front_door.url, token="good")
    _force(front_door, "PUT", 200, _KEPT)
    client.add_store("team-data", "https://objects.example.com", "AKIA", "secret")
    _force(front_door, "GET", 200, {"name": "team-data", "bucket": "digits", "empty": False})
    assert client.test_store("team-data", "digits")
    _force(front_door, "GET", 200, {"resources": [_KEPT], "total": 1})
    assert [one.endpoint_url for one in client.stores()] == ["https://objects.example.com"]
    _force(front_door, "DELETE", 204)
    client.delete_store("team-data", account="vision")
    assert front_door.paths("DELETE") == ["/v3/stores/team-data?account=vision"]
