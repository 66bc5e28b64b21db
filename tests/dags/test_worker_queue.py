"""What a scheduler's own workers take their steps from: none outlives the scheduler, none jams the others."""

from __future__ import annotations

import ast
import subprocess
import sys

import psutil
import pytest

from trainyard.local.ready import wait_for

_WORKERS = 3
# A scheduler: it starts workers, each says its pid, then sends them what it is told to.
_SCHEDULER = """
import multiprocessing, os, sys, time
from trainyard.airflow.patches.workqueue import Reports, WorkQueue

def work(queue, said=1):
    os.write(said, f"{os.getpid()}\\n".encode())
    while message := queue.get():
        os.write(said, f"{message[0]} by {os.getpid()}\\n".encode())
        time.sleep(message[1])
        os.write(said, f"{message[0]} done\\n".encode())

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    queue = WorkQueue(Reports(), lambda message: None)
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
        return [each for each in self.workers if _runs(each)]


def _runs(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # also where another process has its pid by now
        return False


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
    stated = scheduler.process.stdout.read().splitlines()
    assert sorted(line.split()[0] for line in stated if line.endswith(" done")) == sorted(names)
    assert stated[-1] == "empty"
    assert scheduler.process.wait(120) == 0


def test_idle_workers_end_when_their_scheduler_is_killed(scheduler):
    scheduler.process.kill()
    assert wait_for(lambda: not scheduler.left(), 120)


def test_a_worker_that_has_work_finishes_it_and_ends_then(scheduler):
    scheduler.send("long", 3)
    assert scheduler.line().startswith("long by ")
    scheduler.process.kill()
    assert scheduler.line() == "long done"
    assert wait_for(lambda: not scheduler.left(), 120)


def test_workers_that_are_killed_do_not_hold_up_the_others(scheduler):
    for victim in scheduler.workers[1:]:
        victim.kill()
    scheduler.send("next")
    assert scheduler.line() == f"next by {scheduler.workers[0].pid}"


_AIRFLOWS = """
import sys
from trainyard.airflow.patches.executor import LocalExecutor

executor = LocalExecutor(parallelism=int(sys.argv[1]))
executor.start()
print(*executor.workers, sep="\\n", flush=True)
sys.stdin.readline()
executor.end()
"""


_BURST = """
import faulthandler, time
from trainyard.airflow.patches.executor import PatchedExecutor

faulthandler.dump_traceback_later(400, exit=True)  # says where it hangs, if it does
PatchedExecutor.idle_seconds = 1.0
there = PatchedExecutor(parallelism=6)
there.start()
print(len(there.workers), flush=True)
for number in range(5):
    there._assignments.send(number)
there._spawn_workers_with_gc_freeze(there.parallelism - len(there.workers))
print(len(there.workers), flush=True)
for number in range(5):
    there._assignments.revoke(number)
limit = time.monotonic() + 200
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
    assert wait_for(lambda: not airflows.left(), 120)


def test_the_executors_workers_end_with_a_scheduler_that_ends(airflows):
    airflows.send("end")
    assert airflows.process.wait(120) == 0
    assert not airflows.left()


_STEPS = """
import os, signal, sys, time
from types import SimpleNamespace
from airflow.executors import local_executor
from airflow.models.taskinstancekey import TaskInstanceKey
from trainyard.airflow.patches.executor import LocalExecutor

def run(workload, **_):
    print("begun", workload.key.task_id, os.getpid(), flush=True)
    while workload.sign and not os.path.exists(workload.sign):
        time.sleep(0.02)

local_executor.BaseExecutor.run_workload = staticmethod(run)
executor = LocalExecutor(parallelism=int(sys.argv[1]))
executor.start()
print(*executor.workers, sep="\\n", flush=True)

def key(name):
    return TaskInstanceKey("dag", name, "run", 1, -1)

for line in sys.stdin:
    verb, name, sign = (line.split() + ["", ""])[:3]
    if verb == "start":
        states = {"running_state": None, "success_state": "success", "failure_state": "failed"}
        workload = SimpleNamespace(key=key(name), display_name=name, sign=sign, **states)
        executor.queued_tasks[workload.key] = workload
        executor._process_workloads([workload])
    if verb == "revoke":
        executor.revoke_task(ti=SimpleNamespace(key=key(name)))
    if verb == "places":
        print(executor.slots_available, "places", flush=True)
    if verb == "events":
        executor.sync()
        events = {each.task_id: str(state) for each, (state, _) in executor.get_event_buffer().items()}
        running = sorted(each.task_id for each in executor.running)
        print("events", events, running, flush=True)
"""


class _Steps:
    """Airflow's executor with steps that last until a file is there."""

    def __init__(self, scheduler, folder):
        self.scheduler, self.folder = scheduler, folder

    def send(self, *words):
        print(*words, file=self.scheduler.process.stdin, flush=True)

    def begun(self, name):
        """Start a step that does not end by itself; return the worker that executes it."""
        self.send("start", name, self.folder / name)
        _, begun, pid = self.scheduler.line().split()
        assert begun == name
        return psutil.Process(int(pid))

    def end(self, name):
        (self.folder / name).touch()

    def events(self):
        """The states that the executor reports since the last time, and what it takes for running."""
        self.send("events")
        return ast.literal_eval("(" + self.scheduler.line().removeprefix("events ").replace("} [", "}, [") + ")")

    def until_events(self):
        """The first states that it reports."""
        found = []
        wait_for(lambda: found.append(self.events()) or found[-1][0], 120)
        return found[-1]


@pytest.fixture
def steps(start, tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__LOGGING__LOGGING_LEVEL", "CRITICAL")
    return _Steps(start(_STEPS, str(_WORKERS)), tmp_path)


def test_a_step_whose_worker_is_killed_has_failed_at_once_and_gives_its_place_back(steps):
    steps.begun("lost").kill()
    assert steps.until_events() == ({"lost": "failed"}, [])


def test_the_death_of_a_worker_is_not_the_end_of_the_steps_of_others(steps):
    lost, _ = steps.begun("lost"), steps.begun("other")
    lost.kill()
    assert steps.until_events() == ({"lost": "failed"}, ["other"])
    steps.end("other")
    assert steps.until_events() == ({"other": "success"}, [])


def test_a_step_that_ended_before_its_worker_was_killed_has_succeeded(steps):
    worker = steps.begun("done")
    steps.end("done")
    assert steps.until_events() == ({"done": "success"}, [])
    worker.kill()
    steps.begun("next")
    assert steps.events() == ({}, ["next"])


def test_a_step_that_is_executed_again_while_it_is_resumed_ends_once(steps):
    steps.begun("twice")
    steps.send("start", "twice", "")  # the resumption, which ends at once
    assert steps.scheduler.line().startswith("begun twice")
    assert steps.events() == ({}, ["twice"])
    steps.end("twice")
    assert steps.until_events() == ({"twice": "success"}, [])


def test_what_a_worker_reports_of_a_revoked_step_counts_for_nothing(steps):
    steps.begun("stuck")
    steps.send("revoke", "stuck")
    steps.end("stuck")
    steps.begun("next")
    steps.end("next")
    assert steps.until_events() == ({"next": "success"}, [])


def test_an_executor_of_another_shape_is_used_as_it_is(monkeypatch, caplog, capsys):
    from airflow.executors import local_executor

    from trainyard.airflow.patches.executor import fitting_executor

    monkeypatch.delattr(local_executor.LocalExecutor, "_read_results")
    assert fitting_executor() is local_executor.LocalExecutor
    assert "LocalExecutor._read_results is not there" in caplog.text + capsys.readouterr().out


def test_workers_are_started_for_a_burst_and_end_after_it_but_for_some(tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__LOGGING__LOGGING_LEVEL", "ERROR")
    (tmp_path / "burst.py").write_text(_BURST)
    done = subprocess.run([sys.executable, tmp_path / "burst.py"], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["4", "5", "4", "4"], done.stderr
    assert done.returncode == 0, done.stderr


def test_what_runs_takes_a_place_so_that_the_scheduler_keeps_and_orders_the_rest(steps):
    for name in ("a", "b"):
        steps.begun(name)
    steps.send("places")
    assert steps.scheduler.line() == f"{_WORKERS - 2} places"
    steps.end("a")
    assert steps.until_events() == ({"a": "success"}, ["b"])
    steps.send("places")
    assert steps.scheduler.line() == f"{_WORKERS - 1} places"
