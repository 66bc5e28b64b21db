"""The files of a folder that are to become objects: odd ones are refused by name before anything is sent."""

from __future__ import annotations

import os
import threading

import pytest

from trainyard.client.errors import WrongUsageError
from trainyard.client.localfiles import Content, StoppedError, files_below
from trainyard.errors import TrainyardError


def _refusal(folder):
    with pytest.raises(WrongUsageError) as refused:
        files_below(folder)
    return refused.value.message


def test_every_file_is_an_object_with_the_prefix_in_the_order_of_the_keys(tmp_path):
    for name in ("b/ü 日本.txt", "a", "b/.hidden", "empty"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("" if name == "empty" else name)
    found = files_below(tmp_path, "day/1/")
    assert [(each.key, each.size) for each in found] == [
        ("day/1/a", 1),
        ("day/1/b/.hidden", 9),
        ("day/1/b/ü 日本.txt", 15),
        ("day/1/empty", 0),
    ]


def test_one_file_has_its_own_name(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"x")
    assert [each.key for each in files_below(tmp_path / "a.bin", "p/")] == ["p/a.bin"]


def test_links_are_what_they_point_to(tmp_path):
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    data.mkdir()
    elsewhere.mkdir()
    (elsewhere / "x").write_text("far")
    (data / "folder").symlink_to(elsewhere)
    (data / "file").symlink_to(elsewhere / "x")
    assert [(each.key, each.size) for each in files_below(data)] == [("file", 3), ("folder/x", 3)]


def test_a_link_into_its_own_folder_is_no_endless_one(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/back").symlink_to(tmp_path)
    assert "is a link to a folder that it lies in" in _refusal(tmp_path)


def test_all_that_cannot_be_an_object_is_named_with_its_reason(tmp_path):
    (tmp_path / "fine").write_text("x")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "line\nend").write_text("x")
    with open(os.fsencode(tmp_path) + b"/\xff", "wb"):
        pass
    message = _refusal(tmp_path)
    for words in (
        "link to nothing",
        "a pipe, a socket or a device",
        "has a control character",
        "that no file name has",
    ):
        assert words in message
    assert "fine" not in message


@pytest.mark.parametrize("made", [True, False])
def test_nothing_to_store_is_wrong_usage(tmp_path, made):
    folder = tmp_path / "none"
    if made:
        (folder / "below").mkdir(parents=True)
    assert ("there is no file in" if made else "cannot be read") in _refusal(folder)


def test_a_file_goes_as_often_as_it_is_asked_for_and_tells_how_far(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 600_000)
    (file,) = files_below(tmp_path)
    heard = []
    content = Content(file, lambda _, gone: heard.append(gone), threading.Event())
    assert b"".join(content) == b"".join(content) == b"x" * 600_000
    assert heard[-1] == 600_000


def test_a_file_that_shrinks_or_is_given_up_ends_there(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 10)
    (file,) = files_below(tmp_path)
    stop = threading.Event()
    (tmp_path / "a").write_bytes(b"x")
    with pytest.raises(TrainyardError, match="became shorter"):
        list(Content(file, lambda *_: None, stop))
    stop.set()
    with pytest.raises(StoppedError):
        list(Content(file, lambda *_: None, stop))
