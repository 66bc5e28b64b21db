"""# Searches

Drives the trainings whose manifest has a `search:`, and makes the runs of grids.

**What happens.** A watcher in the triggerer asks the front door, every second while a search goes on, to start the
trials that are due and to end those that do badly. The front door finds out from the runs themselves how the search
goes: whatever is started again meanwhile, no trial is lost and none is started twice. There are no runs of this DAG
while all is well; one that is triggered by hand looks at all searches once.

**A search stands still.** `trainyard experiments show NAME` says why: it is paused, or no trial can be started. Else
the triggerer does not run, or does not reach the front door by the connection `trainyard_front_door`: look at its log
for "The searches cannot be driven".

**Stopping one search**: `trainyard experiments pause NAME`. **Stopping all**: pause this DAG.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, task

from trainyard.airflow.app import current_app
from trainyard.airflow.failures import explained
from trainyard.airflow.searchtrigger import SearchTrigger
from trainyard.airflow.servicedags import watched

_trigger = SearchTrigger(str(current_app().settings.catalogue))

with DAG(
    "searches",
    dag_display_name="Searches",
    description="Starts and ends the trials of searches.",
    doc_md=__doc__,
    **watched("searches", _trigger),
) as dag:

    @task(retries=2, retry_delay=timedelta(seconds=10))
    @explained()
    def settle() -> None:
        """Look at all searches once, for whoever triggers this by hand."""
        from trainyard.airflow.frontdoor import front_door

        with front_door() as service:
            service.settle_searches()

    settle()
