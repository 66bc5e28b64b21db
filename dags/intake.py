"""# The watched bucket

Submits every complete drop in `inbox/<account>/<name>/` to the front door: one manifest and one zip in a folder are one
submission. There is no such DAG while the setting `TRAINYARD_INBOX` is empty.

**What happens.** A watcher in the triggerer looks at the inbox every `TRAINYARD_INBOX_POLL_SECONDS` and starts a run
when a drop is complete and has stopped growing. The run's only task, `submit_drops`, looks for itself and handles all
drops that are there, several at a time. Accepted ones go to `accepted/<account>/<model id>/`, refused ones to
`refused/<account>/<name>-<time>/` with `reasons.txt`. Half-written ones wait for `TRAINYARD_INBOX_WAIT_SECONDS`.

**A drop stays in the inbox.** The log of the newest `submit_drops` names every drop that stays, with its
reason. If there is no run, look at the triggerer's log for "The inbox cannot be looked at".

**The task fails.** The front door, the store or one of the connections `trainyard_front_door` and
`TRAINYARD_INBOX_CONNECTION` is at fault, never a drop. It is tried again by itself, and the watcher starts a new run
every five minutes while anything is left. Nothing is lost and nothing is trained twice: trigger it by hand as often as
you like.

**Stopping it.** Pause this DAG: drops then wait in the bucket. One service watches a bucket; two services that share a
catalogue may both do so.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, task

from trainyard.airflow.app import current_app
from trainyard.airflow.servicedags import watched
from trainyard.inbox import task as inboxtask
from trainyard.inbox.trigger import InboxTrigger

_settings = current_app().settings

if _settings.inbox:
    _trigger = InboxTrigger(
        _settings.inbox, _settings.inbox_connection, _settings.inbox_poll_seconds, _settings.inbox_wait_seconds
    )
    with DAG(
        "intake",
        dag_display_name="Watched bucket",
        description="Submits drops in the inbox.",
        doc_md=__doc__,
        **watched("inbox", _trigger),
    ):
        task(retries=2, retry_delay=timedelta(seconds=20))(inboxtask.submit_drops)()
