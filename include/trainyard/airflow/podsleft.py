"""`python -m trainyard.airflow.podsleft`: list the training pods that run on the service's cluster, a line each."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

from trainyard.airflow.app import App, current_app
from trainyard.cluster.diagnosis import ended
from trainyard.cluster.labels import MODEL_ID
from trainyard.errors import TrainyardError

_PATIENCE_SECONDS = 10


def main() -> int:
    """Print each pod with its run; return 1, with the reason on stderr, where the cluster does not answer."""
    logging.disable()
    try:
        pods = _running(current_app())
    except TrainyardError as error:
        print(error, file=sys.stderr)
        return 1
    for pod in pods:
        print(_line(pod))
    return 0


def _running(app: App) -> list[dict[str, Any]]:
    pods = app.pods(_PATIENCE_SECONDS).all(app.volume)
    return [pod for pod in pods if not ended(pod, now=time.time())]


def _line(pod: dict[str, Any]) -> str:
    found = pod["metadata"]
    return f"pod {found['name']} of {found['labels'][MODEL_ID]} still runs in namespace {found['namespace']}"


if __name__ == "__main__":
    sys.exit(main())
