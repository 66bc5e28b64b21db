"""Waits in the triggerer for a training pod to end, without holding a worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent


class TrainingPodTrigger(BaseTrigger):
    """Fire once, when the pod has ended, cannot start, or is gone.

    The pod is watched, so its end is seen at once, and read again every `poll_seconds` in case a watch went deaf. An
    API that does not answer is no news of the pod: only `outage_seconds` of silence end the wait. The event carries
    the pod as JSON data (`pod`), or why there is none (`gone`, `silent`).
    """

    def __init__(
        self,
        pod_name: str,
        namespace: str,
        conn_id: str,
        poll_seconds: float,
        outage_seconds: float,
        image_seconds: float,
        grace_seconds: int,
    ) -> None:
        super().__init__()
        self.pod_name = pod_name
        self.namespace = namespace
        self.conn_id = conn_id
        self.poll_seconds = poll_seconds
        self.outage_seconds = outage_seconds
        self.image_seconds = image_seconds
        self.grace_seconds = grace_seconds
        self._image_trouble_since: float | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "pod_name": self.pod_name,
                "namespace": self.namespace,
                "conn_id": self.conn_id,
                "poll_seconds": self.poll_seconds,
                "outage_seconds": self.outage_seconds,
                "image_seconds": self.image_seconds,
                "grace_seconds": self.grace_seconds,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        yield TriggerEvent(await self._end())

    async def on_kill(self) -> None:
        """Stop the pod when its task is marked failed or cleared; runs in the triggerer."""
        from kubernetes_asyncio.client import ApiException

        async with self._api() as api:
            with suppress(ApiException):
                await api.delete_namespaced_pod(self.pod_name, self.namespace, grace_period_seconds=self.grace_seconds)

    async def _end(self) -> dict[str, Any]:
        from aiohttp import ClientError
        from kubernetes_asyncio.client import ApiException

        heard = time.monotonic()
        while time.monotonic() - heard < self.outage_seconds:
            try:
                async with self._api() as api:
                    while True:
                        if (end := await self._look(api)) is not None:
                            return end
                        heard = time.monotonic()
                        await self._watch(api)
            except (ApiException, ClientError, OSError, TimeoutError) as error:
                if getattr(error, "status", None) == 404:
                    return {"gone": True}
                self.log.warning("The Kubernetes API does not answer for pod %s: %s", self.pod_name, error)
                await asyncio.sleep(min(self.poll_seconds, 5))
        return {"silent": self.outage_seconds}

    def _api(self) -> Any:
        return _CoreApi(self.conn_id)

    async def _look(self, api: Any) -> dict[str, Any] | None:
        """Read the pod; return the event if there is nothing more to wait for."""
        pod = await api.read_namespaced_pod(self.pod_name, self.namespace)
        return self._event(api.api_client.sanitize_for_serialization(pod))

    async def _watch(self, api: Any) -> None:
        """Return at the next change of the pod, or after the poll interval."""
        from kubernetes_asyncio.watch import Watch

        async with Watch() as watch:
            changes = watch.stream(
                api.list_namespaced_pod,
                self.namespace,
                field_selector=f"metadata.name={self.pod_name}",
                timeout_seconds=max(1, int(self.poll_seconds)),
                _request_timeout=self.poll_seconds + 10,
            )
            async for change in changes:
                if change["type"] == "DELETED" or self._event(change["raw_object"]) is not None:
                    return

    def _event(self, pod: dict[str, Any]) -> dict[str, Any] | None:
        from trainyard.pods.diagnose import ended, image_trouble

        if ended(pod, now=time.time()):
            return {"pod": trimmed(pod)}
        if not image_trouble(pod):
            self._image_trouble_since = None
        elif self._image_trouble_since is None:
            self._image_trouble_since = time.monotonic()
        elif time.monotonic() - self._image_trouble_since > self.image_seconds:
            return {"pod": trimmed(pod)}
        return None


class _CoreApi:
    """A Kubernetes API client for as long as it is needed: one TLS handshake, not one a call."""

    def __init__(self, conn_id: str) -> None:
        self._conn_id = conn_id

    async def __aenter__(self) -> Any:
        from airflow.providers.cncf.kubernetes.hooks.kubernetes import AsyncKubernetesHook
        from kubernetes_asyncio.client import CoreV1Api

        self._client = AsyncKubernetesHook(conn_id=self._conn_id).get_conn()
        return CoreV1Api(await self._client.__aenter__())

    async def __aexit__(self, *failure: Any) -> None:
        await self._client.__aexit__(*failure)


def trimmed(pod: dict[str, Any]) -> dict[str, Any]:
    """Return what a diagnosis needs of a pod, without the rest of its spec: events are kept in Airflow's database."""
    metadata = {key: pod["metadata"].get(key) for key in ("name", "namespace", "uid", "deletionTimestamp", "labels")}
    spec = pod.get("spec") or {}
    containers = [{key: row.get(key) for key in ("name", "image")} for row in spec.get("containers") or []]
    kept = {"activeDeadlineSeconds": spec.get("activeDeadlineSeconds"), "containers": containers}
    return {"metadata": metadata, "spec": kept, "status": pod.get("status") or {}}
