"""`trainyard list --watch`: on a terminal and on a pipe."""

from __future__ import annotations

import os
import re

pytest_plugins = ["cli_front_door"]

ID = "training-DOl4q2LkR"


def test_a_terminal_is_redrawn_and_left_as_it_was(terminal, front_door):
    run = front_door.add(ID, phase="staging")
    shown = terminal("list", "--watch")
    shown.wait_for("staging")
    run.update(state="running", phase="training")
    shown.wait_for("training ")
    shown.interrupt()
    assert shown.end() == 130
    assert shown.text.startswith("\x1b[?1049h")
    assert shown.text.rstrip().endswith("\x1b[?25h\x1b[?1049l")
    assert "Traceback" not in shown.text


def test_a_pipe_gets_a_line_for_each_change(terminal, front_door):
    run = front_door.add(ID, phase="staging")
    reader, writer = os.pipe()
    watching = terminal("list", "-w", stdout=writer)
    os.close(writer)
    with open(reader, encoding="utf-8") as lines:
        first = lines.readline()
        run.update(state="running", phase="training")
        second = lines.readline()
        watching.interrupt()
        assert lines.read() == ""
    assert watching.end() == 130
    assert re.fullmatch(rf"\S+Z  {ID}  pending  staging  tf-mnist\n", first)
    assert re.fullmatch(rf"\S+Z  {ID}  running  training  tf-mnist\n", second)
