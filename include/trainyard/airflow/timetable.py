"""When a training runs: once, at its submission, with the model id that was handed out at the door.

Scheduled retraining is not a matter of the timetable: Airflow asks one for the next run when it makes the last, so it
can neither skip a run while the one before it is going nor drop one that is due too late, and pausing a DAG freezes the
run that is going. The DAG `retraining` starts those runs.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pendulum
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction, Timetable
from airflow.utils.types import DagRunType

from trainyard.domain.names import new_model_id


class TrainingTimetable(Timetable):
    """Start one run by itself, named `first_id`, at `first_at` (seconds since the epoch); name all others afresh.

    `words` say when it is trained again.
    """

    description = "Once, when submitted"
    periodic = False

    def __init__(self, first_id: str, first_at: float, words: str = "") -> None:
        self.first_id = first_id
        self.first_at = first_at
        self.words = words
        self._first = pendulum.instance(datetime.fromtimestamp(first_at, UTC))

    @property
    def summary(self) -> str:
        return self.words or "once"

    def serialize(self) -> dict[str, Any]:
        return {"first_id": self.first_id, "first_at": self.first_at, "words": self.words}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> TrainingTimetable:
        return cls(data["first_id"], data["first_at"], data.get("words", ""))

    def infer_manual_data_interval(self, *, run_after: pendulum.DateTime) -> DataInterval:
        return DataInterval.exact(run_after)

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        # A backfill asks with catchup: there is nothing in the past that could be trained again.
        if last_automated_data_interval is not None or restriction.catchup or self._has_begun():
            return None
        return DagRunInfo.exact(self._first)

    def _has_begun(self) -> bool:
        """Say whether the first run was made before: one that somebody deleted in Airflow is not made again."""
        from trainyard.airflow.app import current_app

        return current_app().catalogue.has_begun(self.first_id)

    def generate_run_id(
        self, *, run_type: DagRunType, run_after: pendulum.DateTime, data_interval: DataInterval | None, **extra: Any
    ) -> str:
        if run_type == DagRunType.SCHEDULED and run_after == self._first:
            return self.first_id
        return new_model_id()
