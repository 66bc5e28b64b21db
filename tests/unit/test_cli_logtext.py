"""What a program's log may do to the terminal of who reads it: colour its text, begin its line again, nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainyard.cli.logtext import harmless
from trainyard.cli.output import escaped, printable
from trainyard.domain.characters import NOT_SHOWN

pytest_plugins = ["cli_front_door"]

ID = "training-DOl4q2LkR"
_STEERING = {
    "a title": ("\x1b]0;owned\x07", "\\x1b]0;owned\\x07"),
    "a hyperlink": ("\x1b]8;;http://evil\x1b\\here", "\\x1b]8;;http://evil\\x1b\\here"),
    "a cleared screen": ("\x1b[2J\x1b[H", "\\x1b[2J\\x1b[H"),
    "a question to the terminal": ("\x1b[6n\x1b[c", "\\x1b[6n\\x1b[c"),
    "the clipboard": ("\x1b]52;c;cm0gLXJm\x07", "\\x1b]52;c;cm0gLXJm\\x07"),
    "a mode of the keyboard, which ends like a colour": ("\x1b[>4;2m", "\\x1b[>4;2m"),
    "an escape of eight bits": ("\x9b2J", "\\x9b2J"),
    "a string of eight bits": ("\x9d0;owned\x9c", "\\x9d0;owned\\x9c"),
    "text written backwards": ("\u202egnp.exe\u202c\u2066x\u2069", "\\u202egnp.exe\\u202c\\u2066x\\u2069"),
    "letters that nobody sees": ("vis\u200bion\ufeff \xad\U000e0041", "vis\\u200bion\\ufeff \\xad\\U000e0041"),
    "bells and deletions": ("\x07\x08\x7f\x0b\x0c\x00", "\\x07\\x08\\x7f\\x0b\\x0c\\x00"),
}


def shown(*chunks: bytes, colours: bool = True) -> str:
    return "".join(harmless(chunks, colours))


@pytest.mark.parametrize(("sent", "seen"), _STEERING.values(), ids=_STEERING.keys())
def test_what_steers_a_terminal_is_shown_as_text(sent, seen):
    assert shown(f"before\n{sent}after\n".encode()) == f"before\n{seen}after\n"


def test_a_json_text_says_the_same_with_all_of_it_escaped():
    text = "".join(sent for sent, _ in _STEERING.values())
    shown = escaped(json.dumps(text, ensure_ascii=False))
    assert json.loads(shown) == text
    assert not NOT_SHOWN.search(shown)


@pytest.mark.parametrize("text", ["größe", "模型", "👩\u200d🔬❤\ufe0f", "1\u202f000", "नमस्\u200dते"])
def test_what_languages_and_emoji_need_stays(text):
    assert printable(text) == text


def test_colours_tabs_lines_and_progress_bars_are_kept_and_the_colour_ends_with_the_log():
    log = b"loss\t0.1\r\n\x1b[1;38;5;8mgrey\x1b[m\n 50%\r100%\n\x1b[31m"
    assert shown(log) == f"{log.decode()}\x1b[0m"


def test_where_no_colours_are_wanted_they_are_left_out():
    assert shown(b"\x1b[31mred\x1b[0m\r\n\x1b[2J", colours=False) == "red\r\n\\x1b[2J"


def test_bytes_that_are_no_text_are_shown_as_numbers():
    assert shown(b"\x9b2J caf\xe9\n\xc3") == "\\x9b2J caf\\xe9\n\\xc3"


_PIECES = [
    "ä",
    "日本",
    "\x1b[31m",
    "\x1b[",
    "\x1b",
    "m",
    "12;",
    "\r\n",
    "\u202e",
    "\x9b",
    "text",
    *_STEERING["a title"],
]


@given(st.lists(st.sampled_from(_PIECES)), st.lists(st.integers(0, 200)))
def test_it_does_not_matter_where_the_chunks_of_a_log_end(pieces, cuts):
    log = "".join(pieces).encode()
    ends = [0, *sorted(cut for cut in cuts if cut < len(log)), len(log)]
    chunks = [log[start:end] for start, end in pairwise(ends)]
    assert shown(*chunks) == shown(log)


@given(st.lists(st.one_of(st.binary(max_size=12), st.sampled_from(_PIECES).map(str.encode))))
def test_whatever_the_bytes_only_colours_reach_the_terminal(chunks):
    left = set(re.sub(r"\x1b\[[0-9;:]*m", "", shown(*chunks)))
    assert not left & {chr(code) for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n\r"}


_LOG = [b"\x1b[32mok\x1b[0m \x1b]0;ow", b"ned\x07 caf\xc3", b"\xa9\n"]
_SEEN = "\x1b[32mok\x1b[0m \\x1b]0;owned\\x07 café\n"


class TestCommand:
    @pytest.fixture
    def run(self, front_door):
        front_door.add(ID, state="completed")
        front_door.logs[ID] = _LOG
        return front_door

    @pytest.mark.parametrize("words", [("logs", ID), ("logs", "--follow", ID)])
    def test_a_log_on_a_terminal_cannot_steer_it(self, terminal, run, words):
        reader = terminal(*words)
        assert reader.end() == 0
        assert _SEEN in reader.text.replace("\r\n", "\n")
        assert "\x1b]" not in reader.text

    def test_raw_writes_the_bytes_to_the_terminal(self, terminal, run):
        reader = terminal("logs", "--raw", ID)
        assert reader.end() == 0
        assert b"".join(_LOG).decode() in reader.text.replace("\r\n", "\n")

    def test_in_a_pipe_the_bytes_are_as_they_were(self, run, home, monkeypatch):
        monkeypatch.setenv("TRAINYARD_URL", run.url)
        monkeypatch.setenv("TRAINYARD_TOKEN", "good")
        command = [sys.executable, "-m", "trainyard.cli.main", "logs", ID]
        assert subprocess.run(command, capture_output=True, check=True).stdout == b"".join(_LOG)

    def test_what_is_handed_in_and_followed_cannot_steer_it_either(self, terminal, front_door, submission):
        front_door.logs["training-000000001"] = _LOG
        reader = terminal("train", *submission, "--follow")
        reader.end()
        assert _SEEN in reader.text.replace("\r\n", "\n")
        assert "\x1b]" not in reader.text

    @pytest.mark.parametrize("words", [("show", ID), ("list",), ("quota",), ("datasets",), ("schedules",)])
    def test_no_text_of_a_submission_steers_the_terminal_that_lists_it(self, terminal, front_door, words):
        evil = "\x1b]0;owned\x07\u202eevil\nOK"
        outcome = {"code": "C201", "message": evil, "hint": evil, "exit_code": 1}
        front_door.add(ID, name=evil, state="error", outcome=outcome, waiting=evil, experiment=evil)
        front_door.schedule(ID, name=evil, note=evil)
        reader = terminal(*words)
        reader.end()
        assert "\x1b]" not in reader.text
        assert "\u202e" not in reader.text
