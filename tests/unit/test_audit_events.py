"""An event of the audit log as a line: bounded, of ASCII, and nobody's to forge."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainyard.core.audit.event import MAX_LINE_BYTES, Action, Event, event_of, line_of

_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=400) | st.sampled_from(["\U0001f600" * 5000])
_EVENTS = st.builds(
    Event,
    time=st.floats(0, 4e9),
    actor=_TEXT,
    action=st.sampled_from(list(Action)),
    admin=st.booleans(),
    account=_TEXT,
    training=_TEXT,
    run=_TEXT,
    remote=_TEXT,
    details=st.dictionaries(_TEXT, _TEXT | st.integers() | st.booleans() | st.floats() | st.none(), max_size=20),
)


@given(_EVENTS)
def test_whatever_an_event_holds_it_is_one_short_line_that_is_read_back_as_it_is(event):
    line = line_of(event)
    assert len(line) <= MAX_LINE_BYTES
    assert line.index(b"\n") == len(line) - 1
    assert line.isascii()
    assert line[:-1].decode().isprintable()
    assert line_of(event_of(line)) == line


def test_a_line_says_who_did_what_and_when_to_the_millisecond():
    event = Event(1_700_000_000.25, "ada", Action.CANCEL, account="vision", run="training-1", remote="10.0.0.7")
    assert json.loads(line_of(event)) == {
        "time": "2023-11-14T22:13:20.250Z",
        "actor": "ada",
        "action": "cancel",
        "admin": False,
        "account": "vision",
        "training": "",
        "run": "training-1",
        "remote": "10.0.0.7",
        "result": "ok",
        "code": "",
        "details": {},
    }


def test_a_name_with_a_line_end_forges_no_event():
    forged = 'x"}\n{"time":"2023-11-14T22:13:20.250Z","actor":"root","action":"delete","result":"ok"}\n'
    lines = line_of(Event(0.0, forged, Action.SUBMIT, details={"name": forged})).splitlines()
    assert len(lines) == 1
    assert event_of(lines[0]).actor.startswith('x"}\n{')


def test_what_is_too_long_is_cut_and_says_so():
    event = event_of(line_of(Event(0.0, "a" * 300, Action.SUBMIT, details={"name": "b" * 300})))
    assert event.actor == "a" * 197 + "..."
    assert event.details == {"name": "b" * 197 + "..."}


@pytest.mark.parametrize("line", [b"", b"{}", b"[]", b'{"time":"2023-11-14T22:', b'{"time":1,"result":"ok"}', b"\xff"])
def test_what_is_no_event_is_none(line):
    assert event_of(line) is None
