"""The command line on a real terminal: colours, questions, progress, Ctrl-C; and in a pipe."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import struct
import subprocess
import sys
import termios

import pytest

from trainyard.cli.terminal import Conversation
from trainyard.client.commands import RESIZE, Command

pytest_plugins = ["cli_front_door"]

ID = "training-DOl4q2LkR"
COMMAND = [sys.executable, "-m", "trainyard.cli.main"]
SIGNED_IN = pytest.mark.usefixtures("signed_in")


@pytest.fixture
def signed_in(front_door, home, monkeypatch):
    monkeypatch.setenv("TRAINYARD_URL", front_door.url)
    monkeypatch.setenv("TRAINYARD_TOKEN", "good")


@pytest.fixture
def big_zip(home):
    """A file of 12 MiB that is no zip: nobody looks into it here."""
    (home / "big.zip").write_bytes(os.urandom(12 * 1024**2))
    (home / "job.yaml").write_text("model_definition: {}\n")


def plain(text: str) -> str:
    return text.replace("\r\n", "\n")


class TestColours:
    def test_a_terminal_shows_the_same_words_with_the_state_in_colour(self, terminal, front_door):
        front_door.add(ID, state="completed")
        shown = terminal("show", ID)
        assert shown.end() == 0
        assert "State          \x1b[32mcompleted\x1b[0m\n" in plain(shown.text)

    def test_columns_align_with_colours_too(self, terminal, front_door):
        front_door.add(ID, state="error")
        listed = terminal("list", "trained-models")
        assert listed.end() == 0
        row = f"1       tf-mnist                   {ID}   \x1b[31merror\x1b[0m     2017-10-26T11:16:51Z\n"
        assert row in plain(listed.text)

    @pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
    def test_no_colour_where_none_is_wanted(self, terminal, front_door, monkeypatch, name, value):
        monkeypatch.setenv(name, value)
        front_door.add(ID, state="error")
        listed = terminal("list", "trained-models")
        assert listed.end() == 0
        assert "\x1b" not in listed.text

    def test_an_error_is_red_on_a_terminal(self, terminal):
        shown = terminal("show", ID)
        assert shown.end() == 1
        assert "\x1b[31merror C107:\x1b[0m there is no such run" in shown.text


class TestSentences:
    def test_a_reason_is_wrapped_to_the_terminal_in_its_column_and_whole_in_a_pipe(self, cli, front_door, terminal):
        reason = "the training program ended with exit code 3: " + "a very long word " * 12 + "/job/data/" + "x" * 90
        outcome = {"code": "C201", "fault": "client", "message": reason, "hint": "Fix it.", "gpu_seconds": 0.0}
        front_door.add(ID, state="error", phase="done", outcome=outcome)
        shown = terminal("show", ID)
        assert shown.end() == 0
        first, *rest = plain(shown.text).partition("Reason")[2].partition("\nHint")[0].split("\n")
        assert rest
        assert all(line.startswith(" " * 15 + line.strip()[:1]) for line in rest)
        assert all(len(line) <= 80 for line in rest if "/job" not in line)
        assert " ".join([first.strip(), *(line.strip() for line in rest)]) == f"{reason} (C201)"
        assert f"Reason         {reason} (C201)\n" in cli("show", ID).out


class TestQuestion:
    def test_yes_stops_and_deletes_a_going_run(self, terminal, front_door):
        front_door.add(ID, state="running")
        asked = terminal("delete", ID)
        asked.wait_for("Stop and delete it? [y/N]")
        asked.type("y\n")
        assert asked.end() == 0
        assert front_door.runs == {}

    @pytest.mark.parametrize("answer", ["n\n", "\n", "\x04"])
    def test_anything_else_leaves_the_run_alone(self, terminal, front_door, answer):
        front_door.add(ID, state="running")
        asked = terminal("delete", ID)
        asked.wait_for("[y/N]")
        asked.type(answer)
        assert asked.end() == 1
        assert f"{ID} goes on and is not deleted" in asked.text
        assert front_door.paths("PATCH") == []

    def test_ctrl_c_at_the_question_leaves_the_run_alone(self, terminal, front_door):
        front_door.add(ID, state="running")
        asked = terminal("delete", ID)
        asked.wait_for("[y/N]")
        asked.interrupt()
        assert asked.end() == 130
        assert front_door.paths("PATCH") == []

    def test_login_asks_for_name_and_password_and_shows_no_password(self, terminal, front_door):
        asked = terminal("login", "--url", front_door.url)
        asked.wait_for("User name:")
        asked.type("ada\n")
        asked.wait_for("Password:")
        asked.type("engine\n")
        assert asked.end() == 0
        assert "engine" not in asked.text
        assert "Login successful" in asked.text


class TestCommand:
    def test_it_is_told_the_size_of_the_window_and_not_what_the_shell_has_exported(self, monkeypatch):
        told = []

        class Service:
            async def converse(self, model_id, command, inputs, heard):
                told.append(await anext(inputs))
                return 0

        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 37, 111, 0, 0))
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.setenv("LINES", "24")
        with open(theirs, "w") as window, open(ours, "wb"):
            monkeypatch.setattr("sys.stdin", window)
            monkeypatch.setattr("sys.stdout", window)
            assert Conversation(Service(), ID, Command(["sh"], tty=True)).run() == 0
            monkeypatch.undo()
        assert (told[0][0], json.loads(told[0][1:])) == (RESIZE, {"Width": 111, "Height": 37})


class TestProgress:
    def test_a_big_upload_shows_a_bar_that_is_gone_when_all_is_done(self, terminal, front_door, big_zip):
        shown = terminal("train", "big.zip", "job.yaml")
        assert shown.end() == 0
        assert "MB" in shown.text
        assert plain(shown.text).endswith("OK\nModel-ID is 'training-000000001'\n")

    def test_waiting_for_a_run_to_stop_shows_that_something_goes_on(self, terminal, front_door):
        front_door.add(ID, state="running")
        front_door.deletes_before_end = 5
        shown = terminal("delete", ID, "--yes")
        assert shown.end() == 0
        assert f"Stopping {ID} ..." in shown.text

    @SIGNED_IN
    def test_a_pipe_shows_no_bar(self, front_door, big_zip):
        done = subprocess.run([*COMMAND, "train", "big.zip", "job.yaml"], capture_output=True, text=True, check=True)
        assert done.stderr == ""
        assert done.stdout == "Starting to train ...\nOK\nModel-ID is 'training-000000001'\n"


@SIGNED_IN
class TestInterrupt:
    def interrupted(self, front_door, *words):
        process = subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert front_door.reached.wait(120)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def test_ctrl_c_during_an_upload_is_130_without_a_traceback_and_hands_nothing_in(self, front_door, big_zip):
        front_door.hold = "POST /v3/models"
        code, out, err = self.interrupted(front_door, "train", "big.zip", "job.yaml")
        assert code == 130
        assert out == "Starting to train ...\n"
        assert err.strip() == "Nothing was submitted."
        assert front_door.submissions == []

    def test_ctrl_c_while_a_run_is_being_stopped_says_how_to_go_on(self, front_door):
        front_door.add(ID, state="running")
        front_door.hold = "PATCH"
        process = subprocess.Popen(
            [*COMMAND, "delete", "--yes", ID], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        wait_until(lambda: front_door.paths("PATCH"))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
        assert process.returncode == 130
        assert f"`trainyard delete {ID}` removes it once it has stopped." in err

    def test_ctrl_c_during_a_login_keeps_nothing(self, front_door, home):
        front_door.hold = "/auth/token"
        words = ("login", "--username", "ada", "--password-stdin")
        process = subprocess.Popen(
            [*COMMAND, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        process.stdin.write("engine\n")
        process.stdin.flush()
        assert front_door.reached.wait(120)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
        assert process.returncode == 130
        assert not (home.parent / "config").exists()

    def test_ctrl_c_while_following_says_that_the_run_goes_on(self, front_door, home):
        (home / "m.zip").write_bytes(b"PK\x05\x06")
        (home / "job.yaml").write_text("{}")
        front_door.hold = "GET .*/logs"
        process = subprocess.Popen(
            [*COMMAND, "train", "-f", "m.zip", "job.yaml"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        wait_until(lambda: front_door.paths("GET"))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 130
        assert out.endswith("Model-ID is 'training-000000001'\n")
        assert "The run goes on: `trainyard logs --follow training-000000001`" in err


def wait_until(true):
    import time

    end = time.monotonic() + 120
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


@SIGNED_IN
class TestPipe:
    def test_a_reader_that_goes_away_gets_no_traceback(self, front_door):
        for number in range(3000):
            front_door.add(f"training-{number:09d}")
        listing = subprocess.Popen([*COMMAND, "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert listing.stdout.readline() == "Fetching the list of trained models ...\n"
        listing.stdout.close()
        assert listing.stderr.read() == ""
        listing.stderr.close()
        assert listing.wait(120) == 1

    def test_a_name_that_the_encoding_has_no_letters_for_is_shown_escaped(self, front_door, monkeypatch):
        monkeypatch.setenv("PYTHONIOENCODING", "ascii")
        front_door.add(ID, name="größe")
        done = subprocess.run([*COMMAND, "list"], capture_output=True, check=True)
        assert b"gr\\xf6\\xdfe" in done.stdout
