"""The files of the audit log: written by many, one day and one host each, kept as long as the settings say."""

from __future__ import annotations

import multiprocessing
import os
import resource
import subprocess
import sys
from contextlib import contextmanager

import pytest

from trainyard.core.audit.event import Event, event_of
from trainyard.core.audit.files import AuditFiles
from trainyard.core.audit.recording import Writer

_DAY = 24 * 3600.0
_NOON = 1_700_049_600.0  # 2023-11-15
_MIB = 1024**2
_MANY = 300


def _event(time=_NOON, actor="ada", **details):
    return Event(time, actor, "submit", details=details)


def _files(folder, days=365, max_bytes=1024 * _MIB, host="one"):
    return AuditFiles(folder, days, max_bytes, host)


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def _actors(path):
    return [event_of(line).actor for line in path.read_bytes().splitlines()]


def test_events_of_a_day_and_a_host_are_a_file_that_only_its_owner_reads(tmp_path):
    folder = tmp_path / "catalogue" / ".audit"
    for host, time in (("one", _NOON), ("two", _NOON), ("one", _NOON + _DAY)):
        _files(folder, host=host).append(_event(time))
    assert _names(folder) == ["2023-11-15.one.0.jsonl", "2023-11-15.two.0.jsonl", "2023-11-16.one.0.jsonl"]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_host_whose_name_is_a_path_writes_into_the_folder(tmp_path):
    _files(tmp_path / "log", host="../../etc/x").append(_event())
    assert _names(tmp_path / "log") == ["2023-11-15.______etc_x.0.jsonl"]


def _append_many(folder, name):
    files = _files(folder)
    for number in range(_MANY):
        files.append(_event(actor=name, number=number, filling="x" * (number % 190)))


def test_several_processes_tear_none_of_each_others_lines(tmp_path):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_append_many, args=(tmp_path, name)) for name in "abcd"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(240)
    # A writer that finds another's line half seen (its bytes come page by page) ends it before its own: a blank line.
    lines = filter(None, (tmp_path / "2023-11-15.one.0.jsonl").read_bytes().splitlines())
    events = [event_of(line) for line in lines]
    seen = {name: [event.details["number"] for event in events if event.actor == name] for name in "abcd"}
    assert seen == {name: list(range(_MANY)) for name in "abcd"}


def test_a_full_file_is_followed_by_the_next_number_also_in_a_process_that_starts_then(tmp_path):
    files = _files(tmp_path, max_bytes=_MIB)
    (tmp_path / "2023-11-15.one.0.jsonl").write_bytes(b"x" * (_MIB // 4) + b"\n")
    files.append(_event(actor="a"))
    (tmp_path / "2023-11-15.one.0.jsonl").unlink()
    _files(tmp_path, max_bytes=_MIB).append(_event(actor="b"))
    assert _actors(tmp_path / "2023-11-15.one.1.jsonl") == ["a", "b"]
    assert len(_names(tmp_path)) == 1


def test_files_of_days_that_are_past_go_when_a_new_one_begins_and_nothing_else_does(tmp_path):
    for name in ("2023-11-12.one.0.jsonl", "2023-11-13.one.0.jsonl", "2023-11-12.notes.txt"):
        (tmp_path / name).write_text("kept by hand\n")
    _files(tmp_path, days=2).append(_event())
    assert _names(tmp_path) == ["2023-11-12.notes.txt", "2023-11-13.one.0.jsonl", "2023-11-15.one.0.jsonl"]


def test_beyond_the_size_the_oldest_files_go(tmp_path):
    for day in (12, 13, 14):
        (tmp_path / f"2023-11-{day}.one.0.jsonl").write_bytes(b"\n" * (_MIB // 2))
    _files(tmp_path, max_bytes=_MIB).append(_event())
    assert _names(tmp_path) == ["2023-11-13.one.0.jsonl", "2023-11-14.one.0.jsonl", "2023-11-15.one.0.jsonl"]


@contextmanager
def _no_file_larger_than(size):
    """Let the kernel cut writes off as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_line_that_a_full_disk_cut_off_is_counted_as_lost_and_spoils_no_other(tmp_path, caplog):
    writer = Writer(_files(tmp_path).append)
    assert writer.write(_event(actor="first"))
    path = tmp_path / "2023-11-15.one.0.jsonl"
    with _no_file_larger_than(path.stat().st_size + 20):
        assert not writer.write(_event(actor="lost"))
    assert writer.lost == 1
    assert "'actor': 'lost'" in caplog.text
    assert writer.write(_event(actor="last"))
    whole = [event.actor for line in path.read_bytes().splitlines() if (event := event_of(line))]
    assert whole == ["first", "last"]


@pytest.mark.parametrize("way", ["no folder", "a link"])
def test_a_log_that_cannot_be_written_fails_nobody_and_says_why(tmp_path, way):
    folder = tmp_path / "log"
    if way == "no folder":
        folder.write_text("")
    else:
        folder.mkdir()
        (folder / "2023-11-15.one.0.jsonl").symlink_to(tmp_path / "elsewhere")
    writer = Writer(_files(folder).append)
    assert not writer.write(_event())
    assert writer.reason
    assert not (tmp_path / "elsewhere").exists()


def test_standard_output_gets_a_line_each():
    program = (
        "from trainyard.core.audit.event import Event\nfrom trainyard.core.audit.files import append_to_stdout\n"
        "append_to_stdout(Event(0.0, 'ada', 'submit'))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, env=os.environ, timeout=240)
    assert [event_of(line).actor for line in done.stdout.splitlines()] == ["ada"]
