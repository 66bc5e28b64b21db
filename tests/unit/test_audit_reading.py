"""Reading the audit log back: the newest first, filtered, and in little memory however large it is."""

from __future__ import annotations

import tracemalloc
from itertools import islice

import pytest
from service_fakes import Events

from trainyard.core.accounts import Caller
from trainyard.core.audit.event import Event, line_of
from trainyard.core.audit.files import AuditFiles
from trainyard.core.audit.reading import Query, Trail, lines_backwards, newest
from trainyard.errors import TrainyardError

_NOON = 1_700_049_600.0
_DAY = 24 * 3600.0
_ROOT = Caller("root", admin=True)


@pytest.fixture
def write(tmp_path):
    """Write an event on a host of several."""

    def writing(time, actor="ada", host="one", **fields):
        event = Event(_NOON + time, actor, fields.pop("action", "submit"), **fields)
        AuditFiles(tmp_path, 10_000, 2**30, host).append(event)

    return writing


def _actors(folder, **wanted):
    return [event.actor for event in newest(folder, Query(**wanted))]


def test_the_newest_come_first_over_hosts_and_days(tmp_path, write):
    for number, host in enumerate(("one", "two", "one", "three")):
        write(number, f"today-{number}", host)
        write(number - _DAY, f"yesterday-{number}", host)
    assert _actors(tmp_path) == [f"today-{n}" for n in (3, 2, 1, 0)] + [f"yesterday-{n}" for n in (3, 2, 1, 0)]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"actor": "ada"}, ["ada"]),
        ({"action": "cancel"}, ["grace"]),
        ({"run": "training-2"}, ["root"]),
        ({"account": "vision"}, ["root", "ada"]),
        ({"result": "refused"}, ["grace"]),
        ({"account": "vision", "actor": "grace"}, []),
        ({"since": _NOON + 1}, ["root", "grace"]),
        ({"until": _NOON + 1}, ["ada"]),
        ({"since": _NOON - 2 * _DAY, "until": _NOON - _DAY}, []),
    ],
    ids=str,
)
def test_filters_take_what_is_just_so(tmp_path, write, wanted, found):
    write(0, "ada", account="vision")
    # What only mentions a name is not meant.
    write(1, "grace", action="cancel", result="refused", details={"actor": "ada", "note": '"run":"training-2"'})
    write(2, "root", account="vision", run="training-2")
    assert _actors(tmp_path, **wanted) == found


def test_lines_that_are_torn_or_of_others_are_passed_over(tmp_path, write):
    write(0, "first")
    path = tmp_path / "2023-11-15.one.0.jsonl"
    with path.open("ab") as file:
        file.write(b'{"time":"2023-11-15T12:00:00.500Z","actor":"torn\n\n' + b"x" * 300_000 + b"\n{}\n")
    write(1, "last")
    assert _actors(tmp_path) == ["last", "first"]


@pytest.mark.parametrize("sizes", [[], [0], [1, 2, 3], [4000] * 100, [65_535, 3], [65_536, 65_536]], ids=str)
def test_lines_backwards_are_the_lines_there_are(tmp_path, sizes):
    lines = [bytes([97 + number % 26]) * size for number, size in enumerate(sizes)]
    (tmp_path / "log").write_bytes(b"".join(line + b"\n" for line in lines))
    assert list(lines_backwards(tmp_path / "log")) == [line for line in reversed(lines) if 0 < len(line) < 4096]
    assert list(lines_backwards(tmp_path / "none")) == []


def test_a_large_log_is_read_in_little_memory(tmp_path):
    line = line_of(Event(_NOON, "ada", "submit", details={"filling": "x" * 190}))
    for number in range(4):
        (tmp_path / f"2023-11-15.one.{number}.jsonl").write_bytes(line * (8 * 2**20 // len(line)))
    list(islice(newest(tmp_path, Query()), 10))
    tracemalloc.start()
    try:
        assert _actors(tmp_path, actor="grace") == []
        assert len(list(islice(newest(tmp_path, Query()), 10_000, 10_100))) == 100
        assert tracemalloc.get_traced_memory()[1] < 2 * 2**20
    finally:
        tracemalloc.stop()


class TestTrail:
    def test_pages_follow_each_other_and_say_whether_there_are_more(self, tmp_path, write):
        for number in range(5):
            write(number, str(number))
        trail = Trail(tmp_path)
        pages = [trail.page(_ROOT, Query(), 2, offset) for offset in (0, 2, 4)]
        seen = [([event.actor for event in page], more) for page, more in pages]
        assert seen == [(["4", "3"], True), (["2", "1"], True), (["0"], False)]

    def test_only_an_admin_reads_it_and_who_else_tried_is_recorded(self, tmp_path):
        events = Events()
        with pytest.raises(TrainyardError) as refused:
            Trail(tmp_path, events.audit).page(Caller("ada", address="10.0.0.7"), Query(), 1, 0)
        assert refused.value.code.code == "C106"
        assert events.seen("actor", "action", "result", "code", "remote") == [
            ("ada", "audit.read", "refused", "C106", "10.0.0.7")
        ]

    def test_a_log_on_standard_output_is_not_here(self):
        with pytest.raises(TrainyardError, match="no audit log in files"):
            Trail(None).page(_ROOT, Query(), 1, 0)

    def test_a_log_that_was_never_written_is_empty(self, tmp_path):
        assert Trail(tmp_path / "none").page(_ROOT, Query(), 1, 0) == ([], False)
