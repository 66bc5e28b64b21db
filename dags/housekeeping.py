"""Keep house: what is past its time or orphaned goes, and the pools follow the quotas.

## housekeeping, daily

Asks the front door to remove

- finished runs older than `TRAINYARD_RETENTION_DAYS` (7) from the history, with Airflow's logs of their steps
  (where Airflow keeps logs as files) and their folder in the workspace;
- with the last run of a training: its record, zip, connections and DAG. A training with a schedule stays, with its
  newest run;
- datasets of the cache that no run uses, the longest unused first, while it is larger than
  `TRAINYARD_DATASET_CACHE_MAX_BYTES`;
- what is older than a day and belongs to nothing: connections, zips and DAGs without a record, workspace folders
  without a run;
- runs of these DAGs, after the same time.

A run that is going is never touched, and neither are the buckets. What went stands in the log of the task and in
its XCom.

**To see what would go**, trigger it with `dry_run` ticked. **To keep runs longer**, set `TRAINYARD_RETENTION_DAYS`
for the api-server and start it again. **When the task failed**, its log names what could not be removed and why,
such as a folder of another user; all else is gone, and the next sweep tries again.

## quotas, every five minutes

Resizes the accounts' pools where quotas.yaml has changed, so that a raised quota starts waiting runs although
nobody submits or lists anything. A lowered quota ends no run: what is running finishes, and the next one starts
when it fits. Then whoever asked for it is notified of the runs that wait for too long.

## janitor, every five minutes

Takes what no run owns any more, so that nothing holds GPUs for nobody:

- a training pod whose run has ended, or is unknown to Airflow: its DAG run was deleted while it trained, or its
  cleanup did not reach the cluster;
- of such a run, once it has no pod, the hold on its dataset and its unpacked program, whole or half.

Nothing goes before its run has been over for `TRAINYARD_JANITOR_GRACE_SECONDS` (300), and nothing at all while cluster
or front door do not answer, or while Airflow has no run of any training. A run that is going, results that are not in
the bucket and pods of others are never touched. What went stands with its reason in the log of the task and in its
XCom. `dry_run` says what would go. **When the task failed**, its log says who does not answer, or what could not be
removed; the next pass tries again.

All sign in with the connection `trainyard_front_door` (type http; host is the api-server's address, login and
password are an admin's).
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Param, task

from trainyard.airflow import maintenance
from trainyard.airflow.servicedags import SERVICE_DAG

_COMMON = {
    **SERVICE_DAG,
    "start_date": datetime(2017, 11, 1, tzinfo=UTC),
    "doc_md": __doc__,
    "default_args": {"retries": 2, "retry_delay": timedelta(minutes=1)},
}
_DRY_RUN = {"dry_run": Param(False, type="boolean", title="Dry run", description="Only say what would be removed")}


@task
def sweep(params):
    return maintenance.sweep(bool(params["dry_run"]))


@task
def sync_quotas():
    return maintenance.sync_quotas()


@task
def remove_orphans(params):
    return maintenance.remove_orphaned(bool(params["dry_run"]))


with DAG(
    "housekeeping",
    schedule="0 3 * * *",
    description="Remove what is past its retention",
    params=_DRY_RUN,
    **_COMMON,
) as daily:
    sweep()

with DAG(
    "quotas", schedule=timedelta(minutes=5), description="Sync the pools with quotas.yaml", **_COMMON
) as every_five_minutes:
    sync_quotas()

# A DAG of its own: it alone needs the cluster, and the pools are to follow the quotas while that does not answer.
with DAG(
    "janitor",
    schedule=timedelta(minutes=5),
    description="Take pods and datasets that no run owns any more",
    params=_DRY_RUN,
    **_COMMON,
) as after_runs:
    remove_orphans()
