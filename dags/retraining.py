"""# Scheduled retraining

Starts the runs of trainings whose manifest has a `schedule:`.

**What happens.** A watcher in the triggerer looks at the schedules every `TRAINYARD_SCHEDULE_POLL_SECONDS` and starts a
run of this DAG when something is due. The run's only task, `retrain`, asks the front door to start it. Where a training
is trained whenever its data is new, the task lists the bucket with that training's credentials, and the front door
starts a run if what is there differs from what was trained on last.

Nobody makes up for what was missed: a run that should have started over `TRAINYARD_SCHEDULE_LATE_SECONDS` ago is not
started. No training has two scheduled runs at once.

**A training was not started.** `trainyard schedules` says why in its last column. An empty list of runs here, although
something was due, means that the triggerer does not run or does not see the catalogue: look at its log for "The
schedules cannot be looked at".

**The task fails.** The front door or the connection `trainyard_front_door` is at fault. It is tried again by itself,
and the watcher starts a new run every half minute while anything is due.

**Stopping one schedule**: `trainyard pause`. **Stopping all**: pause this DAG; what is due meanwhile is not made up
for.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, task

from trainyard.airflow import retraintask
from trainyard.airflow.app import current_app
from trainyard.airflow.scheduletrigger import ScheduleTrigger
from trainyard.airflow.servicedags import watched

_settings = current_app().settings
_trigger = ScheduleTrigger(str(_settings.catalogue), _settings.schedule_poll_seconds)

with DAG(
    "retraining",
    dag_display_name="Scheduled retraining",
    description="Starts the scheduled runs that are due.",
    doc_md=__doc__,
    **watched("schedules", _trigger),
) as dag:
    task(retries=2, retry_delay=timedelta(seconds=10))(retraintask.retrain)()
