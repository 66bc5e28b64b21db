"""`trainyard secret`: a value comes from stdin or a prompt, goes to the service, and is shown by nothing."""

from __future__ import annotations

import json

import pytest

pytest_plugins = ["cli_front_door"]

VALUE = "5b1c0ffee 5b1c0ffee"
_KEPT = {"name": "WANDB_API_KEY", "account": None, "changed_at": "2027-01-02T01:30:00Z", "changed_by": "ada"}


@pytest.fixture
def keeps(front_door):
    """Let the front door take the next secret; return what it was sent."""
    from cli_front_door import Answer

    front_door.force("PUT", "/v3/secrets/", Answer(200, _KEPT))
    return front_door


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_value_on_stdin_goes_as_it_is_but_for_its_line_end(cli, keeps, end):
    done = cli("secret", "set", "WANDB_API_KEY", stdin=f"{VALUE}{end}".encode())
    assert (done.code, done.err) == (0, "")
    assert keeps.paths("PUT") == ["/v3/secrets/WANDB_API_KEY"]
    assert json.loads(keeps.received[-1]) == {"value": VALUE}
    assert VALUE not in done.out


def test_an_account_is_named(cli, keeps):
    cli("secret", "set", "HF_TOKEN", "--account", "vision", stdin=VALUE.encode())
    assert keeps.paths("PUT") == ["/v3/secrets/HF_TOKEN?account=vision"]


def test_the_value_is_no_argument(cli, front_door):
    done = cli("secret", "set", "WANDB_API_KEY", VALUE)
    assert (done.code, front_door.asked) == (2, [])


def test_what_is_no_text_is_wrong_usage(cli, front_door):
    done = cli("secret", "set", "WANDB_API_KEY", stdin=b"\xff\xfe\xff\xfe")
    assert (done.code, front_door.asked) == (2, [])


def test_a_secret_is_forgotten(cli, front_door):
    from cli_front_door import Answer

    front_door.force("DELETE", "/v3/secrets/", Answer(204))
    done = cli("secret", "rm", "HF_TOKEN", "--account", "vision", "-o", "json")
    assert done.data == {"name": "HF_TOKEN", "account": "vision", "forgotten": True}
    assert front_door.paths("DELETE") == ["/v3/secrets/HF_TOKEN?account=vision"]


def test_help_of_the_group_and_of_each_command(cli):
    assert "list" in cli("secret", "--help").out
    for command in ("set", "list", "rm"):
        assert "Usage: trainyard secret" in cli("secret", command, "--help").out


def test_python_does_the_same(front_door, home):
    from cli_front_door import Answer

    from trainyard import Client

    client = Client(front_door.url, token="good")
    front_door.force("PUT", "/v3/secrets/", Answer(200, _KEPT))
    client.set_secret("WANDB_API_KEY", VALUE, account="vision")
    front_door.force("GET", "/v3/secrets", Answer(200, {"resources": [_KEPT], "total": 1}))
    assert [(one.name, one.account) for one in client.secrets()] == [("WANDB_API_KEY", None)]
    front_door.force("DELETE", "/v3/secrets/", Answer(204))
    client.delete_secret("WANDB_API_KEY")
    assert front_door.paths("DELETE") == ["/v3/secrets/WANDB_API_KEY"]
