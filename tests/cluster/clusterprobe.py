"""One pod before all tests: what keeps the suite from working on a cluster is found by it, and told in a sentence."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from typing import Any

from clustertarget import Target
from yardhands import Hands

# Events that a cluster gets over by itself are seen for a while; what is wrong stays.
_SETTLES_SECONDS = 45.0
_POLL_SECONDS = 0.5
_REPORT_SECONDS = 15.0
_LATER = ("FailedMount", "FailedAttachVolume", "Failed", "FailedCreatePodSandBox", "FailedBinding")


class UnfitClusterError(Exception):
    """The suite cannot work on the cluster; the text says why and what to do."""


class ClusterProbe:
    """Runs a pod that writes into the workspace; `say` gets what it waits for, every 15 seconds."""

    def __init__(self, core: Any, target: Target, hands: Hands, say: Callable[[str], None]) -> None:
        self._core = core
        self._target = target
        self._hands = hands
        self._say = say

    def run(self, settles: float = _SETTLES_SECONDS) -> None:
        """Raise UnfitClusterError where the pod is refused, does not start, or cannot write into the workspace."""
        word = f"suite-probe-{secrets.token_hex(4)}"
        script = f'mkdir "{word}" && rmdir "{word}" && python3 -c "print(1)"'
        name = self._created(f"cd {self._hands.place} && {script}")
        try:
            self._judge(name, self._ended(name, settles))
        finally:
            self._hands.end(name)

    def _created(self, script: str) -> str:
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            return self._hands.begin(script)
        except ApiException as error:
            raise UnfitClusterError(self._refusal(error)) from None
        except (HTTPError, OSError) as error:
            host = self._core.api_client.configuration.host
            raise UnfitClusterError(f"the API at {host} does not answer: {error}") from None

    def _refusal(self, error: Any) -> str:
        stated = _message_of(error)
        if error.status == 404:
            return f"there is no namespace {self._target.namespace}: {stated}. Make it, or give another NAMESPACE."
        if error.status == 401:
            return f"the cluster does not know the user of {self._target.kubeconfig}: {stated}"
        return f"the cluster refuses a pod in namespace {self._target.namespace}: {stated}"

    def _ended(self, name: str, settles: float) -> Any:
        """Return the pod when it has ended."""
        begun, reported = time.monotonic(), time.monotonic()
        while True:
            pod = self._core.read_namespaced_pod(name, self._target.namespace)
            if pod.status.phase in ("Succeeded", "Failed"):
                return pod
            waited, trouble = time.monotonic() - begun, self._trouble(pod)
            if waited > self._target.patience or (trouble.startswith(_LATER) and waited > settles):
                raise UnfitClusterError(f"a pod did not start within {waited:.0f} s: {trouble or 'no reason is given'}")
            if trouble.startswith(("ErrImage", "ImagePull", "InvalidImage", "Missing")):
                raise UnfitClusterError(f"a pod cannot start: {trouble}")
            if time.monotonic() - reported > _REPORT_SECONDS:
                reported = time.monotonic()
                self._say(f"waiting for the first pod: {trouble or pod.status.phase}")
            time.sleep(_POLL_SECONDS)

    def _trouble(self, pod: Any) -> str:
        """Return what a pod that does not run waits for, in the cluster's words; empty where there is nothing known."""
        for status in pod.status.container_statuses or []:
            waiting = status.state.waiting
            if waiting and waiting.reason not in (None, "ContainerCreating"):
                return f"{waiting.reason}: {waiting.message}"
        for condition in pod.status.conditions or []:
            if condition.type == "PodScheduled" and condition.status == "False":
                missing = "not found" in (condition.message or "")
                return f"{'Missing' if missing else condition.reason}: {condition.message}"
        return self._warning(pod.metadata.name)

    def _warning(self, name: str) -> str:
        """Return the newest warning about a pod; empty where the user may not list events."""
        from kubernetes.client import ApiException

        selector = f"involvedObject.name={name},type=Warning"
        try:
            events = self._core.list_namespaced_event(self._target.namespace, field_selector=selector).items
        except ApiException:
            return ""
        return f"{events[-1].reason}: {events[-1].message}" if events else ""

    def _judge(self, name: str, pod: Any) -> None:
        if pod.status.phase == "Succeeded":
            return
        stated = self._core.read_namespaced_pod_log(name, self._target.namespace, _preload_content=False).data.decode()
        hint = f"Pods have to be allowed to write in {self._target.workspace}, and the image needs sh and python3."
        raise UnfitClusterError(
            f"the first pod failed: {stated.strip() or pod.status.reason or 'it stated nothing'}. {hint}"
        )


def _message_of(error: Any) -> str:
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, LookupError):
        return f"{error.status} {error.reason}"
