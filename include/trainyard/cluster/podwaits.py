"""What the pod of a run waits for, asked of the cluster by the api-server when somebody wants to know."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from trainyard.cluster.diagnosis import waiting_reason
from trainyard.cluster.diagnosis.learners import waits_for
from trainyard.cluster.labels import ATTEMPT, LEARNER, run_selector
from trainyard.domain.names import RunKey

log = logging.getLogger(__name__)
_SECONDS_KEPT = 2.0
_ANSWER_SECONDS = 3.0


class PodWaits:
    """Says what the newest pod of a run waits for; empty where there is none yet or the cluster does not say.

    Answers are kept for two seconds: everybody who follows a run asks the same.
    """

    def __init__(self, client: Callable[[], Any], namespace: str) -> None:
        """Take what returns a client of the Kubernetes core API; it is asked for when it is first needed."""
        self._client = client
        self._namespace = namespace
        self._kept: dict[RunKey, tuple[float, str]] = {}

    def __call__(self, run: RunKey) -> str:
        now = time.monotonic()
        self._kept = {key: kept for key, kept in self._kept.items() if now - kept[0] < _SECONDS_KEPT}
        if not run.valid:
            return ""
        if run not in self._kept:
            self._kept[run] = (now, self._ask(run))
        return self._kept[run][1]

    def _ask(self, run: RunKey) -> str:
        try:
            api = self._client()
            found = api.list_namespaced_pod(
                self._namespace, label_selector=run_selector(run), _request_timeout=_ANSWER_SECONDS
            )
            pods = [api.api_client.sanitize_for_serialization(pod) for pod in found.items]
        except Exception as error:  # noqa: BLE001 - a courtesy: whatever keeps the cluster from answering, the run is shown
            log.info("The cluster does not say what %s waits for: %r", run.model_id, error)
            return ""
        newest = max(pods, key=_created, default=None)
        if newest is None:
            return ""
        if not _label(newest, LEARNER):
            return waiting_reason(newest)
        attempt = [pod for pod in pods if _label(pod, ATTEMPT) == _label(newest, ATTEMPT)]
        attempt.sort(key=lambda pod: int(_label(pod, LEARNER) or 1))
        return waits_for(attempt, [waiting_reason(pod) for pod in attempt])


def _label(pod: dict[str, Any], name: str) -> str:
    return str((pod["metadata"].get("labels") or {}).get(name, ""))


def _created(pod: dict[str, Any]) -> str:
    return str(pod["metadata"].get("creationTimestamp") or "")
