"""What a scheduler without work waits in: until somebody writes to the database's file."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing

import pytest
from late import Late

pytestmark = pytest.mark.xdist_group("airflow")

dbwatch = Late("trainyard.airflow.patches.databasewatch")
executors = Late("trainyard.airflow.patches.executor")
_LONG = 60.0


def _never():
    return False


def _write(database, mode):
    with closing(sqlite3.connect(database)) as opened:
        opened.execute(f"pragma journal_mode={mode}")
        opened.execute("create table if not exists news (what text)")
        opened.execute("insert into news values ('a step has ended')")
        opened.commit()


@pytest.fixture(params=["wal", "delete"])
def mode(request):
    return request.param


@pytest.fixture
def database(tmp_path, mode):
    """A database that somebody has open, as Airflow's processes have: what is written stays in the journal then."""
    path = tmp_path / "airflow.db"
    _write(path, mode)
    with closing(sqlite3.connect(path)) as opened:
        opened.execute("select * from news").fetchall()
        yield path


def _ends(watch, least=0.0, most=_LONG, or_else=_never):
    """Start a wait; return what reports that it has ended."""
    ended = threading.Event()

    def wait():
        watch.wait(least, most, or_else)
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    return ended


def test_a_write_of_another_connection_ends_the_wait(database, mode):
    watch = dbwatch.DatabaseWatch(database)
    ended = _ends(watch)
    assert not ended.is_set()
    _write(database, mode)
    assert ended.wait(120)


def test_what_was_written_between_two_waits_ends_the_second_at_once(database, mode):
    watch = dbwatch.DatabaseWatch(database)
    _write(database, mode)
    assert _ends(watch).wait(120)


def test_a_write_that_ended_one_wait_does_not_end_the_next(database, mode):
    watch = dbwatch.DatabaseWatch(database)
    _write(database, mode)
    assert _ends(watch).wait(120)
    begun = time.monotonic()
    watch.wait(0.0, 0.3, _never)
    assert time.monotonic() - begun >= 0.3


def test_reading_ends_no_wait(database):
    watch = dbwatch.DatabaseWatch(database)
    with closing(sqlite3.connect(database)) as opened:
        assert opened.execute("select count(*) from news").fetchone()
        begun = time.monotonic()
        watch.wait(0.0, 0.3, _never)
    assert time.monotonic() - begun >= 0.3


def test_a_task_that_has_ended_ends_the_wait_too(database):
    assert _ends(dbwatch.DatabaseWatch(database), or_else=lambda: True).wait(120)


def test_many_writes_are_not_as_many_wake_ups(database, mode):
    watch = dbwatch.DatabaseWatch(database)
    begun = time.monotonic()
    for _ in range(4):
        _write(database, mode)
        watch.wait(0.1, _LONG, _never)
    assert time.monotonic() - begun >= 0.4


def test_a_database_that_is_not_there_yet_is_waited_for_and_seen_to_appear(tmp_path):
    ended = _ends(dbwatch.DatabaseWatch(tmp_path / "airflow.db"))
    assert not ended.is_set()
    _write(tmp_path / "airflow.db", "wal")
    assert ended.wait(120)


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:////somewhere/airflow.db", "/somewhere/airflow.db"),
        ("sqlite:///:memory:", None),
        ("sqlite://", None),
        ("postgresql+psycopg2://user@host/airflow", None),
    ],
)
def test_only_a_database_in_a_file_is_watched(url, file, monkeypatch):
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", url)
    found = executors.sqlite_file()
    assert (str(found) if found else None) == file
