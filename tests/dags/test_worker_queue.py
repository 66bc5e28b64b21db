"""What a scheduler's own workers take their steps from: none outlives the scheduler, none jams the others."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from trainyard.local.ready import wait_for

_WORKERS = 3
# A scheduler: it starts workers, each says its pid, then sends them what it is told to.
_SCHEDULER = """
import multiprocessing, os, sys, time
from trainyard.airflow.workqueue import WorkQueue

def work(queue, said=1):
    os.write(said, f"{os.getpid()}\\n".encode())
    while message := queue.get():
        os.write(said, f"{message[0]} by {os.getpid()}\\n".encode())
        time.sleep(message[1])
        os.write(said, f"{message[0]} done\\n".encode())

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    queue = WorkQueue()
    workers = [multiprocessing.Process(target=work, args=(queue,)) for _ in range(int(sys.argv[2]))]
    for each in workers:
        each.start()
    for line in sys.stdin:
        name, seconds = line.split()
        queue.put((name, float(seconds)))
    for each in workers:
        queue.put(None)
    for each in workers:
        each.join()
    print("empty" if queue.empty() else "left", flush=True)
"""


class _Scheduler:
    def __init__(self, script, *words):
        command = [sys.executable, str(script), *words]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.workers = [psutil.Process(int(self.line())) for _ in range(_WORKERS)]

    def line(self):
        return self.process.stdout.readline().strip()

    def send(self, name, seconds=0.0):
        self.process.stdin.write(f"{name} {seconds}\n")
        self.process.stdin.flush()

    def end(self):
        for process in (self.process, *self.left()):
            process.kill()
        with self.process:
            pass

    def left(self):
        return [each for each in self.workers if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture
def start(tmp_path):
    started = []

    def make(text, *words):
        script = tmp_path / "scheduler.py"
        script.write_text(text)
        started.append(_Scheduler(script, *words))
        return started[-1]

    yield make
    for each in started:
        each.end()


@pytest.fixture(params=["fork", "spawn"])
def scheduler(start, request):
    return start(_SCHEDULER, request.param, str(_WORKERS))


def test_each_message_reaches_one_worker_and_the_workers_end_when_told(scheduler):
    names = [f"step-{number}" for number in range(20)]
    for name in names:
        scheduler.send(name)
    scheduler.process.stdin.close()
    said = scheduler.process.stdout.read().splitlines()
    assert sorted(line.split()[0] for line in said if line.endswith(" done")) == sorted(names)
    assert said[-1] == "empty"
    assert scheduler.process.wait(10) == 0


def test_idle_workers_end_when_their_scheduler_is_killed(scheduler):
    scheduler.process.kill()
    assert wait_for(lambda: not scheduler.left(), 15)


def test_a_worker_that_has_work_finishes_it_and_ends_then(scheduler):
    scheduler.send("long", 3)
    assert scheduler.line().startswith("long by ")
    scheduler.process.kill()
    assert scheduler.line() == "long done"
    assert wait_for(lambda: not scheduler.left(), 15)


def test_workers_that_are_killed_do_not_hold_up_the_others(scheduler):
    for victim in scheduler.workers[1:]:
        victim.kill()
    scheduler.send("next")
    assert scheduler.line() == f"next by {scheduler.workers[0].pid}"


_AIRFLOWS = """
import sys
from trainyard.airflow.executor import LocalExecutor

executor = LocalExecutor(parallelism=int(sys.argv[1]))
executor.start()
print(*executor.workers, sep="\\n", flush=True)
sys.stdin.readline()
executor.end()
"""


_BURST = """
import time
from trainyard.airflow import executor

executor._IDLE_SECONDS = 1.0
there = executor.LocalExecutor(parallelism=6)
there.start()
print(len(there.workers), flush=True)
for number in range(5):
    there._workers_of[number] += 1
there._spawn_workers_with_gc_freeze(there.parallelism - len(there.workers))
print(len(there.workers), flush=True)
there._workers_of.clear()
limit = time.monotonic() + 30
while len(there.workers) > 4 and time.monotonic() < limit:
    time.sleep(0.05)
    there.sync()
print(len(there.workers), flush=True)
time.sleep(3)
there.sync()
print(len(there.workers), flush=True)
there.end()
"""


@pytest.fixture
def airflows(start, tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__LOGGING__LOGGING_LEVEL", "ERROR")
    return start(_AIRFLOWS, str(_WORKERS))


def test_the_executors_workers_end_with_a_scheduler_that_is_killed(airflows):
    airflows.process.kill()
    assert wait_for(lambda: not airflows.left(), 15)


def test_the_executors_workers_end_with_a_scheduler_that_ends(airflows):
    airflows.send("end")
    assert airflows.process.wait(30) == 0
    assert not airflows.left()


def test_workers_are_started_for_a_burst_and_end_after_it_but_for_some(tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__LOGGING__LOGGING_LEVEL", "ERROR")
    (tmp_path / "burst.py").write_text(_BURST)
    done = subprocess.run(
        [sys.executable, tmp_path / "burst.py"], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.split() == ["4", "5", "4", "4"]
