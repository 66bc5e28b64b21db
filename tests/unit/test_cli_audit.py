"""`trainyard audit`: the events of the audit log as a table, as JSON, and as they come."""

from __future__ import annotations

import os
from urllib.parse import parse_qs, urlsplit

import pytest

pytest_plugins = ["cli_front_door"]

_UNTIL = "2026-01-02T12:00:00.000Z"


def _event(time="2026-01-02T10:00:00.250Z", **fields):
    texts = dict.fromkeys(("account", "training", "run", "remote", "code"), "")
    return {"time": time, "actor": "ada", "action": "submit", "admin": False, **texts, "result": "ok", **fields}


def _answer(front_door, *events, more=False):
    from cli_front_door import Answer

    page = {"resources": list(events), "limit": 100, "offset": 0, "until": _UNTIL, "more": more}
    front_door.force("GET", "/v3/audit", Answer(200, page))


def _asked(front_door):
    paths = [path for path in front_door.paths("GET") if path.startswith("/v3/audit")]
    return [{key: value for key, (value,) in parse_qs(urlsplit(path).query).items()} for path in paths]


def test_events_are_a_table_with_the_newest_last(cli, front_door):
    denied = _event(
        "2026-01-02T11:00:00.000Z",
        actor="eve",
        action="delete",
        run="training-DOl4q2LkR",
        result="refused",
        code="C107",
    )
    submitted = _event(account="vision", remote="10.0.0.7", details={"name": "digits"})
    _answer(front_door, denied, submitted)
    done = cli("audit")
    lines = done.out.splitlines()
    assert lines[0] == "Fetching the audit log ..."
    assert [line.split() for line in lines[1:4]] == [
        ["Time", "actor", "from", "action", "account", "run", "training", "result"],
        ["2026-01-02T10:00:00.250Z", "ada", "10.0.0.7", "submit", "vision", "ok", "name=digits"],
        ["2026-01-02T11:00:00.000Z", "eve", "delete", "training-DOl4q2LkR", "refused", "C107"],
    ]
    assert lines[4:] == ["", "2 records found.", "OK"]
    assert (done.code, done.err) == (0, "")


def test_filters_are_asked_for_and_times_are_read_as_elsewhere(cli, front_door):
    _answer(front_door, more=True)
    options = ["--since", "2026-01-01", "--until", "2026-01-31T08:00:00Z", "--actor", "ada", "--action", "submit"]
    cli("audit", *options, "--run", "training-1", "--account", "vision", "--result", "refused", "--limit", "7")
    (query,) = _asked(front_door)
    assert query == {
        "since": "2026-01-01T00:00:00+00:00",
        "until": "2026-01-31T08:00:00+00:00",
        "actor": "ada",
        "action": "submit",
        "run": "training-1",
        "account": "vision",
        "result": "refused",
        "limit": "7",
        "offset": "0",
    }


def test_more_than_a_page_is_fetched_as_of_one_moment(cli, front_door):
    _answer(front_door, *[_event(run=f"training-{n}") for n in range(500)], more=True)
    _answer(front_door, _event(run="training-last"), more=True)
    done = cli("audit", "--limit", "501", "-o", "json")
    assert (len(done.data["resources"]), done.data["more"]) == (501, True)
    assert done.data["resources"][0]["run"] == "training-last"
    first, second = _asked(front_door)
    assert (first["limit"], first.get("until")) == ("500", None)
    assert (second["limit"], second["offset"], second["until"]) == ("1", "500", _UNTIL)


def test_a_name_that_would_steer_the_terminal_is_shown_harmless(cli, front_door):
    _answer(front_door, _event(actor="\x1b]0;x\x07eve", details={"name": "\x1b[2J"}))
    assert "\x1b" not in cli("audit").out


def test_a_member_is_refused(cli, front_door):
    from cli_front_door import refusal

    front_door.force("GET", "/v3/audit", refusal(403, "C106", "only an admin reads the audit log"))
    done = cli("audit")
    assert (done.code, "only an admin reads the audit log" in done.err) == (1, True)


@pytest.mark.parametrize("options", [["--result", "odd"], ["--until", "soon"], ["--limit", "x"]])
def test_what_makes_no_sense_is_wrong_usage(cli, front_door, options):
    done = cli("audit", *options)
    assert (done.code, _asked(front_door)) == (2, [])
    assert options[0].removeprefix("--") in done.err


def test_following_prints_each_event_once(terminal, front_door):
    _answer(front_door, _event(run="training-1"))
    _answer(front_door, _event("2026-01-02T10:00:01.000Z", run="training-2"), _event(run="training-1"))
    _answer(front_door)
    reader, writer = os.pipe()
    following = terminal("audit", "--follow", stdout=writer)
    os.close(writer)
    with open(reader, encoding="utf-8") as lines:
        header, first, second = (lines.readline().split() for _ in range(3))
        following.interrupt()
        rest = lines.read()
    assert following.end() == 130
    assert (header[0], first[-2], second[-2], rest) == ("Time", "training-1", "training-2", "")
    assert _asked(front_door)[1]["since"] == "2026-01-02T09:59:55.250000+00:00"
