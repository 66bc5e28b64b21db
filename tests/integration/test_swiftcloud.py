"""The servers that the tests share: started once, kept while anybody is there, and gone without a trace."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest
from storeservers import wait_for
from swiftcloud import sharing

# Stands for the two servers: a process with a word on its command line by which it is found.
CLOUD = """
import subprocess, sys
from pathlib import Path
from swiftcloud.cloud import keep

def start(folder, left):
    with (folder / "starts").open("a") as starts:
        starts.write("once\\n")
    server = subprocess.Popen([sys.executable, "-c", "input()", str(folder)], stdin=subprocess.PIPE)
    left.callback(server.wait)
    left.callback(server.terminate)
    (folder / "server").write_text(str(server.pid))
    return {name: "" for name in ("keystone", "swift", "project", "elsewhere", "service", "admin_password")}

keep(Path(sys.argv[1]), start)
"""
# Stands for a worker of the tests: it is there until its input ends or it is killed.
WORKER = """
import sys
from pathlib import Path
from swiftcloud.sharing import ready_cloud, shared

folder, program = map(Path, sys.argv[1:])
with shared(folder, program):
    ready_cloud(folder)
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Return a way to begin a worker; it is ready when it is returned."""
    program, begun = tmp_path / "program.py", []
    program.write_text(CLOUD)
    environment = {**os.environ, "PYTHONPATH": str(Path(sharing.__file__).parents[1])}

    def worker() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", WORKER, str(tmp_path / "cloud"), str(program)]
        pipe = subprocess.PIPE
        begun.append(subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True))
        assert _of(begun[-1].stdout).readline() == "ready\n"
        return begun[-1]

    yield worker
    for one in begun:
        one.kill()
        one.communicate()


def _of(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def test_workers_share_what_one_of_them_has_started(begin: Callable[[], subprocess.Popen[str]], tmp_path: Path) -> None:
    first, second = begin(), begin()
    assert (tmp_path / "cloud/starts").read_text() == "once\n"
    second.communicate()
    assert (tmp_path / "cloud/cloud.json").exists(), "the first is still there"
    server = int((tmp_path / "cloud/server").read_text())
    first.communicate(timeout=120)
    assert not (tmp_path / "cloud").exists(), "who has started it leaves when all is gone"
    assert not Path("/proc", str(server)).exists()


def test_it_ends_with_the_last_worker_even_if_all_are_killed(
    begin: Callable[[], subprocess.Popen[str]], tmp_path: Path
) -> None:
    first, second = begin(), begin()
    server = int((tmp_path / "cloud/server").read_text())
    first.kill()
    first.communicate()
    assert Path("/proc", str(server)).exists()
    second.kill()
    wait_for(lambda: not (tmp_path / "cloud").exists() and not Path("/proc", str(server)).exists())
