"""A large file that arrives in parts: what is noted of it, what a later attempt takes up, how it is digested."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from trainyard.domain.digest import PART
from trainyard.stores.base import Entry
from trainyard.stores.moving import parts as parts_module
from trainyard.stores.moving.parts import SPAN, Partial, Span

CONTENT = os.urandom(PART) * 3 + b"the end"
MD5 = hashlib.md5(CONTENT).hexdigest()
LISTED = Entry("a/large", len(CONTENT), MD5, MD5)
UNDIGESTED = Entry("a/large", len(CONTENT), "etag-2", None)


def arrive(there: Partial, *numbers: int) -> None:
    for number in numbers:
        writer = there.open(number * PART)
        writer.write(CONTENT[number * PART : (number + 1) * PART])
        writer.close()


def spans(there: Partial) -> list[int]:
    return [span.start // PART for span in there.missing(1)]


def test_parts_arrive_in_any_order_and_are_digested_on_the_way(tmp_path: Path) -> None:
    there = Partial(tmp_path, LISTED)
    arrive(there, 2, 3, 0, 1)
    assert there.missing(8) == []
    assert there.digest(lambda: None) == MD5
    assert there.take().read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == [there.path.name]


def test_the_next_attempt_knows_what_has_arrived(tmp_path: Path) -> None:
    arrive(Partial(tmp_path, LISTED), 0, 2)
    again = Partial(tmp_path, LISTED)
    assert again.missing(1) == [Span(PART, PART), Span(3 * PART, 7)]
    assert again.bytes_done == 2 * PART
    arrive(again, 1, 3)
    assert again.digest(lambda: None) == MD5


def test_a_part_counts_only_once_all_of_it_is_there(tmp_path: Path) -> None:
    there = Partial(tmp_path, LISTED)
    writer = there.open(0)
    writer.write(CONTENT[: PART + 10])
    assert writer.in_part == 10
    writer.close()
    assert there.rest_of(Span(0, 3 * PART)) == Span(PART, 2 * PART)
    assert spans(Partial(tmp_path, LISTED)) == [1]


def test_a_line_that_was_cut_off_is_no_part(tmp_path: Path) -> None:
    there = Partial(tmp_path, LISTED)
    arrive(there, 0)
    with there.path.with_name(f"{there.path.name}.done").open("a") as side:
        side.write("\n1")
    again = Partial(tmp_path, LISTED)
    assert spans(again) == [1]
    arrive(again, 2)
    assert again.bytes_done == Partial(tmp_path, LISTED).bytes_done == 2 * PART


def test_another_object_of_the_same_name_begins_anew(tmp_path: Path) -> None:
    arrive(Partial(tmp_path, LISTED), 0, 1)
    assert Partial(tmp_path, UNDIGESTED).bytes_done == 0


@pytest.mark.parametrize(("entry", "kept"), [(LISTED, 2 * PART), (UNDIGESTED, 0)])
def test_after_a_crash_of_the_machine_parts_count_only_where_a_digest_can_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: Entry, kept: int
) -> None:
    (tmp_path / "boot").write_text("before")
    monkeypatch.setattr(parts_module, "_BOOT", tmp_path / "boot")
    arrive(Partial(tmp_path, entry), 0, 1)
    assert Partial(tmp_path, entry).bytes_done == 2 * PART
    (tmp_path / "boot").write_text("after")
    assert Partial(tmp_path, entry).bytes_done == kept


def test_a_file_that_is_gone_or_of_another_size_begins_anew(tmp_path: Path) -> None:
    there = Partial(tmp_path, LISTED)
    arrive(there, 0)
    os.truncate(there.path, 10)
    assert Partial(tmp_path, LISTED).bytes_done == 0
    there.path.unlink()
    assert Partial(tmp_path, LISTED).bytes_done == 0


def test_an_object_of_256_mib_comes_over_four_connections(tmp_path: Path) -> None:
    there = Partial(tmp_path, Entry("a", 256 * 1024**2, "etag"))
    assert [span.size for span in there.missing(16)] == 4 * [SPAN]


def test_few_requests_bring_a_large_object(tmp_path: Path) -> None:
    size = 5 * SPAN + 1
    there = Partial(tmp_path, Entry("a", size, "etag"))
    for most in (1, 2, 4, 100):
        found = there.missing(most)
        assert len(found) <= max(most, 1)
        assert sum(span.size for span in found) == size
        assert all(span.size >= SPAN for span in found)
