"""A task as the operator gets it in a worker."""

from __future__ import annotations


class WorkerTask:
    """What the operator needs of its task instance."""

    task_id = "train"

    def __init__(self, attempt, round_):
        self.try_number, self.max_tries = attempt, round_
        self.pushed = {}

    def xcom_push(self, key, value):
        self.pushed[key] = value

    def xcom_pull(self, task_ids, key):
        return None
