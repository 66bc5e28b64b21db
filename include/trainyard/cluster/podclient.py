"""The training pods on the cluster: found by label, created once, stopped, removed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from trainyard.cluster.diagnosis import ended
from trainyard.cluster.diagnosis.status import clean, gpus_of
from trainyard.cluster.labels import (
    ACCOUNT,
    ATTEMPT,
    MANAGED_BY,
    MODEL_ID,
    OURS,
    TRAINING_ID,
    account_selector,
    run_of,
    run_selector,
)
from trainyard.cluster.run import WorkspaceVolume
from trainyard.cluster.volumes import mounts_workspace
from trainyard.domain.names import RunKey, secret_name
from trainyard.domain.plan import Plan
from trainyard.errors import TrainyardError

_AGAIN = {409, 429}


class TrainingPods:
    """The training pods of one namespace, as JSON data. Every call is tried again for a while before S200 is raised."""

    _lost = "The cluster does not end them: those who run it have to look at the node."
    _silent = "Those who run the cluster have to look at its API; submit it again after that."
    _hint = "Give the service's user of the cluster the rights it needs in the namespace of the training pods."

    def __init__(
        self,
        client: Any,
        namespace: str,
        patience_seconds: float = 60,
        retry_seconds: float = 2.0,
        look_seconds: float = 0.2,
    ) -> None:
        """Use a client of the Kubernetes core API; `patience_seconds` is how long a call is tried again."""
        self._client = client
        self._namespace = namespace
        self._patience = patience_seconds
        self._retry_seconds = retry_seconds
        self._look_seconds = look_seconds

    @staticmethod
    def attempt(pod: dict[str, Any]) -> int:
        return int(pod["metadata"]["labels"][ATTEMPT])

    def of_run(self, run: RunKey) -> list[dict[str, Any]]:
        """Return the pods of a run, oldest attempt first."""
        return sorted(self._list(run_selector(run)), key=self.attempt)

    def newest(self, run: RunKey) -> dict[str, Any] | None:
        pods = self.of_run(run)
        return pods[-1] if pods else None

    def all(self, volume: WorkspaceVolume) -> list[dict[str, Any]]:
        """Return the pods of all runs that carry the service's labels and mount the workspace from this volume.

        Another installation in the same namespace has a workspace of its own.
        """
        pods = self._list(f"{MANAGED_BY}={OURS}")
        return [pod for pod in pods if run_of(pod["metadata"]["labels"]) and mounts_workspace(pod, volume)]

    def await_room(self, run: RunKey, plan: Plan, quota: int, grace_seconds: int) -> None:
        """Wait until the other pods of the run's account leave it room within the account's quota of GPUs.

        The account's pool admits no more than fits, but a pod may outlive its step: one that is being ended, or whose
        task was marked or deleted in Airflow. Raise TrainyardError S100 if it is still there long after.
        """

        def taken() -> list[dict[str, Any]]:
            others = [pod for pod in self._of_account(plan.account) if run_of(pod["metadata"]["labels"]) != run]
            return others if sum(map(gpus_of, others)) + plan.gpus > quota else []

        if plan.gpus and (names := self._left(taken, grace_seconds)):
            message = f"pods that outlived their runs hold GPUs of account {plan.account}: {names}"
            raise TrainyardError("S100", message, "They are removed within minutes: submit it again after that.")

    def _of_account(self, account: str) -> list[dict[str, Any]]:
        """Return the pods of an account's runs that hold GPUs, or wait for some."""
        pods = self._list(account_selector(account))
        mine = [pod for pod in pods if (pod["metadata"].get("annotations") or {}).get(ACCOUNT) == account]
        return [pod for pod in mine if gpus_of(pod) and _holds_its_place(pod)]

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        """Create a pod; one of that name that is there already is the same attempt and is taken as it is.

        A quota of the cluster's own that is full is waited for: a pod that is being stopped counts until it has ended.
        """
        from kubernetes.client import ApiException

        deadline = time.monotonic() + self._patience
        while True:
            try:
                return self._data(self._call("create_namespaced_pod", self._namespace, body, judged=(409,)))
            except ApiException as error:
                if error.status == 409 and (pod := self._found(body["metadata"]["name"])):
                    return pod
                if not (_is_full(error) or error.status == 409) or time.monotonic() > deadline:
                    message = f"the cluster refused the training pod: {refusal_of(error)}"
                    raise TrainyardError("S101", message, "Ask whoever keeps the cluster.") from None
            time.sleep(self._retry_seconds)

    def keep_secrets(self, run: RunKey, values: Mapping[str, str]) -> None:
        """Create the Secret of a run, in the place of one that an earlier attempt had.

        Raise TrainyardError S101 where the cluster refuses it; what it says may hold the values and is not repeated.
        """
        from kubernetes.client import ApiException

        self.drop_secrets(run)
        labels = {MANAGED_BY: OURS, MODEL_ID: run.model_id, TRAINING_ID: run.training_id}
        metadata = {"name": secret_name(run), "namespace": self._namespace, "labels": labels}
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": dict(values)}
        try:
            self._call("create_namespaced_secret", self._namespace, body)
        except ApiException as error:
            message = f"the cluster refused the run's secrets: {error.status}"
            raise TrainyardError("S101", message, self._hint) from None

    def drop_secrets(self, run: RunKey) -> None:
        """Remove the Secret of a run; none is fine."""
        what, place = "the removal of the run's secrets", (secret_name(run), self._namespace)
        self._asked(what, "delete_namespaced_secret", *place, judged=(404,))

    def stop(self, pod_name: str, grace_seconds: int) -> None:
        """Ask the cluster to end a pod; one that is gone is fine."""
        what, place = f"the end of pod {pod_name}", (pod_name, self._namespace)
        self._asked(what, "delete_namespaced_pod", *place, grace_period_seconds=grace_seconds, judged=(404,))

    def remove(self, pod: dict[str, Any], grace_seconds: int) -> None:
        """Remove this very pod, not one that has got its name by now; one that is gone is fine."""
        metadata = pod["metadata"]
        name, body = metadata["name"], {"gracePeriodSeconds": grace_seconds, "preconditions": {"uid": metadata["uid"]}}
        what, place = f"the removal of pod {name}", (name, self._namespace)
        self._asked(what, "delete_namespaced_pod", *place, body=body, judged=(404, 409))

    def end_all(self, run: RunKey, grace_seconds: int) -> None:
        """End every pod of a run and return when none of them runs any more.

        Raise TrainyardError S200 if one still runs long after its grace period: the cluster lost its node.
        """
        for pod in self.of_run(run):
            # One that waits for an image for ever has ended for us, and holds its GPUs until it is deleted.
            if pod["status"].get("phase") not in ("Succeeded", "Failed"):
                self.stop(pod["metadata"]["name"], grace_seconds)
        if names := self._left(partial(self._going, run), grace_seconds):
            raise TrainyardError("S200", f"pods still run after they were stopped: {names}", self._lost)

    def remove_all(self, run: RunKey) -> int:
        """Remove every pod of a run and return, when the cluster has none of them any more, how many there were.

        Raise TrainyardError S200 if one is still there long after.
        """
        pods = self.of_run(run)
        for pod in pods:
            self.stop(pod["metadata"]["name"], 0)
        if names := self._left(partial(self.of_run, run), 0):
            raise TrainyardError("S200", f"pods are still there after they were removed: {names}", self._lost)
        return len(pods)

    def _left(self, look: Callable[[], list[dict[str, Any]]], grace_seconds: int) -> str:
        """Wait until `look` finds no pod; return the names of those that it finds when patience is at its end."""
        deadline = time.monotonic() + grace_seconds + self._patience
        while (left := look()) and time.monotonic() < deadline:
            time.sleep(self._look_seconds)
        return ", ".join(pod["metadata"]["name"] for pod in left)

    def _going(self, run: RunKey) -> list[dict[str, Any]]:
        return [pod for pod in self.of_run(run) if not ended(pod, now=time.time())]

    def _list(self, selector: str) -> list[dict[str, Any]]:
        found = self._asked("the list of pods", "list_namespaced_pod", self._namespace, label_selector=selector)
        return [self._data(pod) for pod in found.items]

    def _found(self, pod_name: str) -> dict[str, Any] | None:
        pod = self._asked(f"pod {pod_name}", "read_namespaced_pod", pod_name, self._namespace, judged=(404,))
        return self._data(pod) if pod else None

    def _data(self, pod: Any) -> dict[str, Any]:
        data: dict[str, Any] = self._client.api_client.sanitize_for_serialization(pod)
        return data

    def _asked(self, what: str, verb: str, *args: Any, judged: Collection[int] = (), **kwargs: Any) -> Any:
        """Call the API; return None for the `judged` refusals, raise TrainyardError S200 for any other of `what`."""
        from kubernetes.client import ApiException

        try:
            return self._call(verb, *args, judged=judged, **kwargs)
        except ApiException as error:
            if error.status in judged:
                return None
            message = f"the cluster refused {what}: {refusal_of(error)}"
            raise TrainyardError("S200", message, self._hint) from None

    def _call(self, verb: str, *args: Any, judged: Collection[int] = (), **kwargs: Any) -> Any:
        """Call the API; silence, 409, 429 and 5xx are tried again, unless `judged`: these and all others are raised."""
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        deadline = time.monotonic() + self._patience
        while True:
            try:
                return getattr(self._client, verb)(*args, **kwargs)
            except ApiException as error:
                # The client says 0 where TLS failed: nobody answered.
                if error.status and error.status < 500 and error.status not in _AGAIN - set(judged):
                    raise
                stated = refusal_of(error)
            except (HTTPError, OSError) as error:
                stated = type(error).__name__
            if time.monotonic() > deadline:
                raise TrainyardError("S200", f"the Kubernetes API does not answer: {stated}", self._silent)
            time.sleep(self._retry_seconds)


def _holds_its_place(pod: dict[str, Any]) -> bool:
    # One that waits for an image for ever has ended for us, and holds its GPUs until it is deleted.
    return pod["status"].get("phase") in (None, "Pending") or not ended(pod, now=time.time())


def refusal_of(error: Any) -> str:
    """Return what the Kubernetes API said of a request that it refused: status, reason, and its own sentence.

    The sentence alone names a quota that is exceeded, a pod security level that is violated, a priority class that is
    not there.
    """
    try:
        message = str(json.loads(error.body)["message"])
    except (TypeError, ValueError, LookupError):
        message = ""
    return clean(f"{error.status} {error.reason}: {message}" if message else f"{error.status} {error.reason}")


def _is_full(error: Any) -> bool:
    # Kubernetes says so in words alone: its status and reason are those of missing rights.
    return error.status == 403 and "exceeded quota" in str(error.body)
