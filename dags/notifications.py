"""# Notifications

Delivers notifications of runs: to chats, mail addresses and webhooks.

**What happens.** Whoever knows of an event - the cleanup of a run that has ended, the wait for its pod, the schedules -
writes a file for each address to the outbox, a folder beside the catalogue. A watcher in the triggerer looks there
every `TRAINYARD_NOTIFY_POLL_SECONDS` and delivers. What does not arrive is tried again later and later, for a day, then
it is given up. The watcher fires never, so this DAG has no runs of its own.

**Nothing is delivered.** The triggerer does not run, or its log has "The outbox cannot be looked at".

**Something is given up.** `trainyard doctor` counts it, `trainyard notify list` names it with the reason. Fix the
receiver, then `trainyard notify retry`; or trigger this DAG, whose task does the same for everything.
"""

from __future__ import annotations

import time

from airflow.sdk import DAG, task

from trainyard.airflow.app import current_app
from trainyard.airflow.outboxtrigger import OutboxTrigger
from trainyard.airflow.servicedags import watched

_trigger = OutboxTrigger(current_app().settings.notify_poll_seconds)

with DAG(
    "notifications",
    dag_display_name="Notifications",
    description="Delivers notifications; triggered by hand, tries again what was given up.",
    doc_md=__doc__,
    **watched("outbox", _trigger),
) as dag:

    @task
    def retry() -> int:
        """Let everything that was given up be tried again."""
        outbox = current_app().outbox
        dead = outbox.dead()
        for delivery in dead:
            outbox.revive(delivery, time.time())
        return len(dead)

    retry()
