"""Inside a run that goes on, on the whole stack: `exec` with pipes, on a terminal and by others, `download --now`."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from runprograms import UNTIL_LET_END
from yard import Yard

from trainyard.client.access import Access
from trainyard.client.client import Client
from trainyard.client.commands import Command
from trainyard.client.rest import RestClient
from trainyard.errors import TrainyardError

pytestmark = pytest.mark.xdist_group("stack")


@pytest.fixture(scope="module")
def run(yard: Yard) -> Iterator[str]:
    """A run of ada's in the account vision, whose program goes on until it is let end."""
    model_id = yard.submit_as("ada", "vision", UNTIL_LET_END)
    yard.until(model_id, lambda run: run["phase"] == "training")
    yield model_id
    if not yard.run(model_id)["finished_at"]:
        yard.let_end(model_id)


def _client(yard: Yard, user: str) -> Client:
    return Client(yard.url, token=yard.token(user))


def test_a_pipe_passes_input_output_errors_and_exit_code_on(yard: Yard, run: str) -> None:
    script = "cat; pwd; cat $RESULT_DIR/so-far.txt; echo odd >&2; exit 7"
    done = yard.trainyard("exec", run, "--", "sh", "-c", script, stdin="typed\n", fails=True)
    typed, folder, written = done.stdout.splitlines()
    assert (done.returncode, typed, written, done.stderr) == (7, "typed", "half a model", "odd\n")
    assert folder.endswith("/model")


def test_a_terminal_is_one_to_the_command_too(yard: Yard, run: str) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 37, 111, 0, 0))
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TRAINYARD_")}
    environment |= {"COLUMNS": "80", "LINES": "24"}  # as a shell may have exported them
    command = [sys.executable, "-m", "trainyard.cli.main", "exec", run, "--", "sh", "-c", "echo ready; exec sh"]
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=yard.folder.parent, env=environment
    ) as process:
        os.close(theirs)
        shown = b""
        while b"ready" not in shown:
            shown += os.read(ours, 4096)
        os.write(ours, b"stty size; tty; exit 5\r")
        while process.poll() is None or b"111" not in shown:
            try:
                shown += os.read(ours, 4096)
            except OSError:  # its end is closed
                break
        assert (process.wait(60), b"37 111" in shown, b"/dev/pts/" in shown) == (5, True, True), shown
    os.close(ours)


def test_python_gets_output_and_exit_code(yard: Yard, run: str) -> None:
    done = _client(yard, "ada").run(run).exec(["python", "-c", "print(6 * 7)"])
    assert (done.exit_code, done.output) == (0, "42\n")


@pytest.mark.parametrize(("user", "code"), [("grace", "C107"), (None, "C105")])
def test_members_of_other_accounts_find_no_such_run_and_nobody_gets_in(
    yard: Yard, run: str, user: str | None, code: str
) -> None:
    service = RestClient(Access(yard.url, yard.token(user) if user else "made-up"))
    with pytest.raises(TrainyardError) as refused:
        service.execute(run, Command(["true"]))
    assert refused.value.code.code == code


def test_output_without_an_end_does_not_fill_the_server(yard: Yard, run: str) -> None:
    server = psutil.Process(yard.stack.status()["api-server"]["pid"])
    before = server.memory_info().rss
    words = ["exec", run, "--", "head", "-c", "300000000", "/dev/zero"]
    command = [sys.executable, "-m", "trainyard.cli.main", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=yard.folder.parent) as process:
        assert process.stdout
        most, seen = 0, 0
        while chunk := process.stdout.read(4 * 1024**2):
            seen, most = seen + len(chunk), max(most, server.memory_info().rss)
        assert (process.wait(60), seen) == (0, 300_000_000)
    assert most - before < 50 * 1024**2


def test_who_ran_what_is_in_the_audit_log(yard: Yard, run: str) -> None:
    yard.trainyard("exec", run, "--", "echo", "--token", "planted-in-exec")
    events = yard.data("audit", "--run", run, "--action", "exec")["resources"]
    commands = {(event["actor"], event["result"], event["details"].get("command")) for event in events}
    assert ("admin", "ok", "echo --token ****") in commands
    assert ("grace", "refused", None) in commands


def test_what_the_program_has_made_so_far_is_downloaded_while_it_goes_on(yard: Yard, run: str, tmp_path: Path) -> None:
    yard.trainyard("download", run, str(tmp_path / "now"), "--now")
    assert (tmp_path / "now" / "so-far.txt").read_text() == "half a model"
    assert yard.ask("grace", "GET", f"/v3/models/{run}/files/so-far.txt").status_code == 404


def test_a_program_that_has_ended_takes_no_command(yard: Yard, run: str) -> None:
    yard.let_end(run)
    yard.finished(run)
    done = yard.trainyard("exec", run, "--", "true", fails=True)
    assert (done.returncode, "C108" in done.stderr, "it has ended: completed" in done.stderr) == (1, True, True)
