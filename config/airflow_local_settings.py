"""What Airflow's processes do at their start, and what scheduler and triggerer ask about every task instance.

Import once, in the parents of all task, parse and trigger processes, what their forked children need.

Measured: 250 tasks took 38 s with these imports inherited, 223 s with each task importing them itself; a one-second
pod took 3.9 s instead of 9.6 s, and a runner's private memory fell from 146 to 34 MB.
"""

import importlib
import logging
import sys
from typing import Any

_STORES = ("boto3", "trainyard.stores.opening", "trainyard.stores.s3.adapter")
_NEEDED = {
    "scheduler": (
        *_STORES,
        "airflow.providers.cncf.kubernetes.operators.pod",
        "airflow.sdk.definitions.asset.metadata",
        "airflow.sdk.execution_time.cache",
        "airflow.sdk.execution_time.task_runner",
        "jinja2.ext",
        "trainyard.airflow.awsconnections",
        "trainyard.airflow.connections",
        "trainyard.airflow.dag",
        "trainyard.airflow.operator",
        "trainyard.manifest.limits",
        "trainyard.steps.cleanup",
        "trainyard.steps.stage",
        "trainyard.steps.upload",
        "trainyard.steps.validate",
    ),
    "dag-processor": (
        # Airflow asks of every task whether it is one of these two; a third of a file's parsing was their import.
        "airflow.providers.standard.operators.trigger_dagrun",
        "airflow.providers.standard.sensors.external_task",
        "airflow.serialization.serialized_objects",
        "trainyard.airflow.dag",
        "trainyard.airflow.operator",
    ),
    "triggerer": (
        *_STORES,
        "airflow.providers.cncf.kubernetes.hooks.kubernetes",
        "kubernetes_asyncio.client",
        "trainyard.airflow.trigger",
        "trainyard.cluster.diagnosis",
    ),
}


def _prepare(process: str) -> None:
    from trainyard.airflow.patches import apply

    for name in _NEEDED[process]:
        importlib.import_module(name)
    if process == "scheduler":
        # Steps that open a store are forked from here: what botocore reads for a client of S3 is read for all of them.
        from trainyard.stores.s3.sessions import read_ahead

        read_ahead()
    apply(process)


for _process in _NEEDED.keys() & set(sys.argv):
    try:
        _prepare(_process)
    except Exception:  # what is not imported ahead is imported late: the process is slower, and it starts
        logging.getLogger(__name__).warning("The %s starts unprepared", _process, exc_info=True)


def task_instance_mutation_hook(task_instance: Any, dag_run: Any) -> None:
    """Let a run take the pool slots of the size that it was triggered with."""
    from trainyard.airflow.runparameters import follow_size

    follow_size(task_instance, dag_run)
