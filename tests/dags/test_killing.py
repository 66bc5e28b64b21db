"""A step that is killed ends in the midst of what it does."""

from __future__ import annotations

import fcntl
import subprocess
import sys

_STEP = """
import fcntl, signal, sys
from trainyard.airflow.tasks import killed_at_once
signal.signal(signal.SIGTERM, lambda *_: print("as Airflow does: it goes on", flush=True))
with killed_at_once(), open(sys.argv[1], "a") as lock:
    print("waiting", flush=True)
    fcntl.flock(lock, fcntl.LOCK_EX)
    print("working", flush=True)
"""


def test_a_step_that_waits_for_another_runs_dataset_ends_at_once(tmp_path):
    path = tmp_path / "lock"
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = [sys.executable, "-c", _STEP, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as step:
            assert step.stdout.readline() == "waiting\n"
            step.terminate()
            try:
                assert step.wait(120) == 143
            finally:
                step.kill()
            assert step.stdout.read() == ""


def test_what_was_done_at_a_kill_before_is_done_again_afterwards():
    import signal

    from trainyard.airflow.tasks import killed_at_once

    before = signal.getsignal(signal.SIGTERM)
    with killed_at_once():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
