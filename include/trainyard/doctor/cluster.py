"""The cluster as the doctor asks it: through the connection that the train step uses."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import Any

from trainyard.cluster.podclient import TrainingPods
from trainyard.doctor.judging import skew
from trainyard.domain.names import RunKey
from trainyard.errors import TrainyardError

CONNECTION = "Look whether it is up, and at the Airflow connection of TRAINYARD_KUBERNETES_CONNECTION."
OPTIONAL_RIGHTS = "kubectl apply -f deploy/kubernetes/examples/doctor.yaml"
_NODES = f"Allow it with `{OPTIONAL_RIGHTS}`; trainings do without."
_PODS = (
    f"Allow it with `{OPTIONAL_RIGHTS}`, or run `python -m trainyard.doctor.report` in the scheduler, which may make "
    "pods."
)
_ANSWER_SECONDS = 8
_PATIENCE_SECONDS = 10


@dataclass(frozen=True)
class Greeting:
    """What a cluster says of itself; `skew` is by how many seconds its clock is ahead, None where that is unknown."""

    host: str
    version: str
    skew: float | None


class DoctorCluster:
    """Every method raises TrainyardError S200 with a hint where the cluster does not answer or refuses."""

    def __init__(self, connection: str, namespace: str) -> None:
        self.connection = connection
        self._namespace = namespace
        self._kept: list[Any] = []
        self._lock = Lock()

    @property
    def _client(self) -> Any:
        """The client of the connection, made and imported by one of the threads that ask for it."""
        with self._lock:
            if not self._kept:
                from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook

                made = KubernetesHook(conn_id=self.connection).api_client
                # That a cluster hangs is to be reported; it is not asked three times more.
                made.configuration.retries = False
                self._kept.append(type(made)(configuration=made.configuration))
            return self._kept[0]

    def greet(self) -> Greeting:
        from kubernetes.client import VersionApi

        host = self._client.configuration.host  # the client is made here, which takes seconds at the first time
        began = time.time()
        answer, _, headers = self._asked(VersionApi, "get_code_with_http_info")
        ended = time.time()
        date = next((value for name, value in headers.items() if name.lower() == "date"), None)
        ahead = skew(began, ended, parsedate_to_datetime(date).timestamp()) if date else None
        return Greeting(host, answer.git_version, ahead)

    def user(self) -> str:
        """Return whom the cluster takes the service for; empty where it is too old to say."""
        from kubernetes.client import ApiException, AuthenticationV1Api

        try:
            answer = self._asked(AuthenticationV1Api, "create_self_subject_review", body={})
        except ApiException:
            return ""
        return str(answer.status.user_info.username or "")

    def refused(self, verbs: Sequence[str], resource: str = "pods") -> list[str]:
        """Return those of the verbs that the service's user may not use on a resource of the trainings' namespace."""
        return [verb for verb in verbs if not self._allowed(verb, resource)]

    def nodes(self) -> list[dict[str, Any]]:
        from kubernetes.client import ApiException, CoreV1Api

        try:
            found = self._asked(CoreV1Api, "list_node")
        except ApiException as error:
            if error.status == 403:
                raise TrainyardError("S200", "not allowed to list nodes: GPUs are not counted", _NODES) from None
            raise self._refusal("the list of nodes", error) from None
        return [self._client.sanitize_for_serialization(node) for node in found.items]

    # The port of the probe

    def permit(self) -> None:
        if lacking := self.refused(("create", "delete", "list")):
            message = f"not allowed to {', '.join(lacking)} pods here, so that no probe pod was made"
            raise TrainyardError("S200", message, _PODS)

    def create(self, body: dict[str, Any]) -> None:
        self._pods.create(body)

    def look(self, probe_id: str) -> dict[str, Any] | None:
        return self._pods.newest(RunKey.first_of(probe_id))

    def remove(self, probe_id: str) -> None:
        self._pods.remove_pods(RunKey.first_of(probe_id))

    @property
    def _pods(self) -> TrainingPods:
        from kubernetes.client import CoreV1Api

        return TrainingPods(CoreV1Api(self._client), self._namespace, _PATIENCE_SECONDS)

    def _allowed(self, verb: str, resource: str) -> bool:
        from kubernetes.client import ApiException, AuthorizationV1Api

        kind, _, part = resource.partition("/")
        wanted = {"namespace": self._namespace, "verb": verb, "group": "", "resource": kind, "subresource": part}
        body = {"spec": {"resourceAttributes": wanted}}
        try:
            answer = self._asked(AuthorizationV1Api, "create_self_subject_access_review", body=body)
        except ApiException as error:
            raise self._refusal("to say what the service may", error) from None
        return answer.status.allowed is True

    def _asked(self, api: Any, method: str, **content: Any) -> Any:
        """Call the API; a refusal is the caller's to judge, but for one of whom it does not know."""
        from kubernetes.client import ApiException
        from kubernetes.config import ConfigException
        from urllib3.exceptions import HTTPError

        try:
            return getattr(api(self._client), method)(**content, _request_timeout=_ANSWER_SECONDS)
        except ApiException as error:
            # The client says 0 where TLS failed: nobody answered.
            if error.status == 401:
                message = f"{self._place} does not know the service's user (401)"
                raise TrainyardError("S200", message, CONNECTION) from None
            if error.status:
                raise
            raise self._silence("TLS failed") from None
        except (HTTPError, OSError) as error:
            raise self._silence(_why(error)) from None
        except ConfigException as error:
            raise self._silence(str(error)) from None

    @property
    def _place(self) -> str:
        """The cluster as its keeper knows it: address and connection; the address only where it is known already."""
        host = f" at {self._kept[0].configuration.host}" if self._kept else ""
        return f"the cluster{host} (connection {self.connection})"

    def _silence(self, why: str) -> TrainyardError:
        return TrainyardError("S200", f"{self._place} does not answer: {why}", CONNECTION)

    def _refusal(self, what: str, error: Any) -> TrainyardError:
        message = f"{self._place} refused {what}: {error.status} {error.reason}"
        return TrainyardError("S200", message, CONNECTION)


def _why(error: Exception) -> str:
    """Return what a failed connection failed with, without the objects that the client's words are full of."""
    from urllib3.exceptions import NewConnectionError
    from urllib3.exceptions import TimeoutError as TimedOut

    reason = getattr(error, "reason", None) or error
    if isinstance(reason, TimedOut) and not isinstance(reason, NewConnectionError):
        return f"nothing came within {_ANSWER_SECONDS} seconds"
    stated = re.search(r"\[Errno -?\d+\] ([\w ]+)", str(reason))
    return stated[1].lower() if stated else type(reason).__name__
