"""The local cluster's log files: written in pieces, rotated, read from any place."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from localkube import records
from localkube.logs import LogQuery, last_text, read_log
from localkube.records import MAX_FILES, MAX_PIECE, LogFile


def read(folder: Path, **query) -> bytes:
    async def collect() -> bytes:
        return b"".join([chunk async for chunk in read_log(folder, LogQuery(**query), lambda: True)])

    return asyncio.run(collect())


@pytest.fixture
def log(tmp_path) -> Iterator[LogFile]:
    with closing(LogFile(str(tmp_path / records.LOG))) as file:
        yield file


@pytest.fixture
def folder(tmp_path) -> Path:
    with closing(LogFile(str(tmp_path / records.LOG), file_bytes=1100)) as log:
        for number in range(100):
            log.write("stdout", f"line {number}\n".encode())
    return tmp_path


def lines(*numbers: int) -> bytes:
    return b"".join(b"line %d\n" % number for number in numbers)


def test_a_rotated_log_is_read_as_one(folder):
    assert len(list(folder.iterdir())) == MAX_FILES
    kept = read(folder)
    assert kept.endswith(lines(98, 99))
    first = int(kept.split(b"\n")[0].split()[1])
    assert kept == lines(*range(first, 100))


def test_what_no_file_is_left_for_is_gone(folder):
    assert not read(folder).startswith(lines(0))
    assert sum(path.stat().st_size for path in folder.iterdir()) <= MAX_FILES * 1200


@pytest.mark.parametrize("tail", [0, 1, 5, 50, 70])
def test_the_last_lines_are_found_over_several_files(folder, tail):
    assert read(folder, tail=tail) == lines(*range(100 - tail, 100))


def test_more_lines_than_there_are_are_all(folder):
    assert read(folder, tail=10_000) == read(folder)


def test_a_line_without_an_end_is_shown_without_one(tmp_path, log):
    log.write("stdout", b"a\nb")
    log.write("stdout", b"c")
    log.end("stdout")
    assert read(tmp_path) == b"a\nbc"


def test_a_long_line_is_written_in_pieces_and_read_whole(tmp_path, log):
    text = b"x" * (3 * MAX_PIECE + 5)
    log.write("stdout", text[:100])
    log.write("stdout", text[100:] + b"\n")
    assert read(tmp_path) == text + b"\n"
    assert (tmp_path / records.LOG).read_bytes().count(b" P ") == 3


def test_empty_lines_and_other_bytes_survive(tmp_path, log):
    log.write("stdout", b"\n\n\xff\xfe  spaced\r\n")
    assert read(tmp_path) == b"\n\n\xff\xfe  spaced\r\n"


def test_following_goes_on_over_a_rotation_and_ends_when_told(tmp_path):
    seen = bytearray()

    async def follow(log: LogFile) -> None:
        def is_over() -> bool:
            return seen.count(b"\n") == 20

        async for chunk in read_log(tmp_path, LogQuery(follow=True), is_over):
            seen.extend(chunk)
            if not is_over():
                log.write("stdout", lines(seen.count(b"\n")))

    with closing(LogFile(str(tmp_path / records.LOG), file_bytes=300)) as log:
        log.write("stdout", lines(0))
        asyncio.run(follow(log))
    assert seen == lines(*range(20))


def test_a_container_without_a_log_has_an_empty_one(tmp_path):
    assert read(tmp_path) == b""
    assert last_text(tmp_path, 10, 100) == ""


def test_the_last_text_is_bounded_in_lines_and_bytes(tmp_path, log):
    log.write("stdout", lines(*range(50)))
    assert last_text(tmp_path, 2, 100) == "line 48\nline 49\n"
    assert last_text(tmp_path, 10, 8) == "line 49\n"
