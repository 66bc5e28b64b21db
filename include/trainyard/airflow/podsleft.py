"""`python -m trainyard.airflow.podsleft`: list the training pods that run on the service's cluster, a line each."""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

from trainyard.airflow.ourpods import OurPods
from trainyard.cluster.diagnose import ended
from trainyard.cluster.labels import MODEL_ID
from trainyard.cluster.run import WorkspaceVolume
from trainyard.errors import TrainyardError
from trainyard.settings import read_settings

_PATIENCE_SECONDS = 10


def main() -> int:
    """Print each pod with its run; return 1, with the reason on stderr, where the cluster does not answer."""
    logging.disable()
    try:
        pods = _running(read_settings(os.environ))
    except TrainyardError as error:
        print(error, file=sys.stderr)
        return 1
    for pod in pods:
        print(_line(pod))
    return 0


def _running(settings: Any) -> list[dict[str, Any]]:
    from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook

    volume = WorkspaceVolume.of(settings.workspace_volume, str(Path(settings.workspace).absolute()))
    client = KubernetesHook(conn_id=settings.kubernetes_connection).core_v1_client
    pods = OurPods(client, settings.namespace, _PATIENCE_SECONDS).all(volume)
    return [pod for pod in pods if not ended(pod, now=time.time())]


def _line(pod: dict[str, Any]) -> str:
    found = pod["metadata"]
    return f"pod {found['name']} of {found['labels'][MODEL_ID]} still runs in namespace {found['namespace']}"


if __name__ == "__main__":
    sys.exit(main())
