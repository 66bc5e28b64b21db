"""The LocalExecutor of the one-machine stack: Airflow's own, with the parts replaced that lose steps or time.

Airflow 3.3.2. Without the patch:

- a step whose worker is killed before it reported itself as running stays `queued` with its pool slot for ever, as
  LocalExecutor has no `revoke_task`; and one that was running waits five minutes for its missing heartbeat;
- the end of a deferral that is seen late is taken for the end of the task's resumption, which is then tried again;
- a scheduler that was killed leaves its workers behind, and a killed worker can stop all others (workqueue.py);
- steps are sent to the workers in the order of their arrival, however many there are and whatever their priority, as
  LocalExecutor never notes that they run;
- a scheduler without work looks at the database ten times as often, and sees later what there is to do.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from airflow.executors import local_executor
from airflow.utils.state import TaskInstanceState

from trainyard.airflow.patches import ShapeMismatchError, expect
from trainyard.airflow.patches.assignments import Assignments
from trainyard.airflow.patches.databasewatch import DatabaseWatch
from trainyard.airflow.patches.workqueue import Reported, Reports, Taken, WorkQueue

log = logging.getLogger(__name__)
# The scheduler's loops: at most ten a second while there are news, one a second while there are none.
_MIN_SECONDS, _MAX_SECONDS = 0.1, 1.0
# So many workers stay; the others are started when there is more to do, and end when there was nothing for so long.
MIN_WORKERS = 4
IDLE_SECONDS = 60.0


class PatchedExecutor(local_executor.LocalExecutor):
    """LocalExecutor whose workers may die, which reports the end of a step once, and which waits for news.

    Airflow's loop sleeps for `scheduler_idle_sleep_time`, and each look at the database costs it 15 ms: too much to
    look often, too slow to look seldom. On SQLite a change of the file says when there is something to see, so an idle
    scheduler takes 2 % of a core instead of 8, and a step starts as soon as the one before it has ended.

    A burst's workers end after it, `idle_seconds` after their last step: each that has worked keeps 35 MB.
    """

    idle_seconds = IDLE_SECONDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._assignments = Assignments()
        self._news: DatabaseWatch | None = None

    def start(self) -> None:
        super().start()
        self._take_own_queues()
        database = sqlite_file()
        self._news = DatabaseWatch(database) if database else None

    def _spawn_worker(self) -> None:
        self._take_own_queues()  # Airflow's start makes others and forks at once
        self.activity_queue.patience = None if len(self.workers) < MIN_WORKERS else self.idle_seconds
        super()._spawn_worker()

    def _spawn_workers_with_gc_freeze(self, spawn_number: int) -> None:
        """Start as many workers as there is work for; Airflow's own starts all that there may be."""
        wanted = max(self._assignments.outstanding, MIN_WORKERS) - len(self.workers)
        super()._spawn_workers_with_gc_freeze(max(0, min(spawn_number, wanted)))

    def _take_own_queues(self) -> None:
        if not isinstance(self.activity_queue, WorkQueue):
            self._assignments = Assignments()
            self._unread_messages: Any = _NoCount()
            self.result_queue: Any = Reports()
            self.activity_queue: Any = WorkQueue(self.result_queue, self._number)

    def _number(self, workload: Any) -> int | None:
        return None if workload is None else self._assignments.send(workload.key)

    def heartbeat(self) -> None:
        """Wait for news unless there is work; the scheduler calls this once a loop, after it has looked for work."""
        if self._news and not self._can_start():
            self._news.wait(_MIN_SECONDS, _MAX_SECONDS, lambda: not self.result_queue.empty())
        super().heartbeat()

    def _can_start(self) -> bool:
        queued = self.queued_tasks or self.queued_callbacks or self.queued_connection_tests
        return bool(queued) and len(self.running) < self.parallelism

    def _process_workloads(self, workload_list: Any) -> None:
        """Send workloads to the workers, and note that they run: others stay with the scheduler, in their order."""
        self.running.update(workload.key for workload in workload_list)
        super()._process_workloads(workload_list)

    def _read_results(self) -> None:
        while not self.result_queue.empty():
            self._note(self.result_queue.get())

    def _note(self, report: Taken | Reported) -> None:
        if isinstance(report, Taken):
            self._assignments.take(report.pid, report.number)
        elif report.state == TaskInstanceState.RUNNING:
            self.change_state(report.key, report.state)
        elif (key := self._assignments.end(report.pid)) is not None:
            self.change_state(key, report.state)

    def _check_workers(self) -> None:
        """Fail what dead workers were at, so that Airflow tries it again; then let others take their places."""
        dead = [pid for pid, process in self.workers.items() if not process.is_alive()]
        self._read_results()  # what they reported before they died
        for pid in dead:
            if (key := self._assignments.end(pid)) is not None:
                self.log.error("Worker %s died while it executed %s.", pid, key)
                self.fail(key)
        super()._check_workers()

    def revoke_task(self, *, ti: Any) -> None:
        """Forget a task that was queued for too long; Airflow queues it again."""
        self.queued_tasks.pop(ti.key, None)
        self.running.discard(ti.key)
        self._assignments.revoke(ti.key)


class _NoCount:
    """Stands for Airflow's counter of unread messages, whose lock dies with its holder: the queue itself knows."""

    value = property(lambda self: 1, lambda self, value: None)

    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None: ...


def fitting_executor() -> type[local_executor.LocalExecutor]:
    """Return the patched executor, or with a warning Airflow's own where that has another shape."""
    try:
        own = local_executor.LocalExecutor
        for name in ("start", "heartbeat", "_spawn_worker", "_read_results", "_check_workers"):
            expect(own, name, "self")
        expect(own, "_process_workloads", "self", "workload_list")
        expect(own, "_spawn_workers_with_gc_freeze", "self", "spawn_number")
        expect(own, "change_state", "self", "key", "state")
        expect(local_executor, "_run_worker", "logger_name", "input", "output", "unread_messages")
    except ShapeMismatchError as error:
        log.warning("Airflow's LocalExecutor is used as it is: %s", error)
        return local_executor.LocalExecutor
    return PatchedExecutor


def __getattr__(name: str) -> Any:
    """Choose the executor when Airflow loads it by this name."""
    if name == "LocalExecutor":
        return fitting_executor()
    raise AttributeError(name)


def sqlite_file() -> Path | None:
    """Return the file of Airflow's database, None where it is no SQLite."""
    from airflow.configuration import conf
    from sqlalchemy.engine import make_url

    url = make_url(conf.get("database", "sql_alchemy_conn"))
    in_file = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
    return Path(str(url.database)) if in_file else None
