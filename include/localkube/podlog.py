"""The log of a container over the API, and which container a request means."""

from __future__ import annotations

import time
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from localkube import runtime
from localkube.config import Config
from localkube.errors import bad_request
from localkube.logs import LogQuery, read_log
from localkube.objects import Key, Obj
from localkube.podstatus import container_state
from localkube.resources import flag, number
from localkube.store import Store
from localkube.values import parse_time


class PodLog:
    """Serves `…/pods/NAME/log`."""

    def __init__(self, store: Store, config: Config) -> None:
        self._store = store
        self._config = config

    async def get(self, request: Request) -> Response:
        """Answer with a container's log, whole or followed. Raise ApiError 400 where there is none yet."""
        key = Key("pods", request.path_params["namespace"], request.path_params["name"])
        pod = self._store.get(key)
        container = chosen_container(pod, request.query_params.get("container", ""))
        query = _query(request)
        if flag(request, "previous"):
            raise bad_request(f'previous terminated container "{container}" in pod "{key.name}" not found')
        if not pod["spec"].get("nodeName"):
            return PlainTextResponse("")
        folder = self._config.pod(pod["metadata"]["uid"]).container(container)
        if not runtime.is_begun(folder):
            reason = container_state(pod, container).get("waiting", {}).get("reason", "ContainerCreating")
            raise bad_request(f'container "{container}" in pod "{key.name}" is waiting to start: {reason}')
        return self._stream(key, pod["metadata"]["uid"], container, folder, query)

    def _stream(self, key: Key, uid: str, container: str, folder: Path, query: LogQuery) -> Response:
        def is_over() -> bool:
            pod = self._store.find(key)
            return pod is None or pod["metadata"]["uid"] != uid or "terminated" in container_state(pod, container)

        return StreamingResponse(read_log(folder, query, is_over), media_type="text/plain")


def chosen_container(pod: Obj, wanted: str) -> str:
    """Return the container that a request means. Raise ApiError 400 if it is not clear or not there."""
    names = [container["name"] for container in pod["spec"]["containers"]]
    name = pod["metadata"]["name"]
    if not wanted and len(names) > 1:
        raise bad_request(f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]")
    if wanted and wanted not in names:
        raise bad_request(f"container {wanted} is not valid for pod {name}")
    return wanted or names[0]


def _query(request: Request) -> LogQuery:
    return LogQuery(
        follow=flag(request, "follow"),
        timestamps=flag(request, "timestamps"),
        since=_since(request),
        tail=number(request, "tailLines"),
    )


def _since(request: Request) -> int | None:
    ago = number(request, "sinceSeconds")
    if ago is not None:
        return time.time_ns() - ago * 1_000_000_000
    moment = request.query_params.get("sinceTime")
    try:
        return parse_time(moment) if moment else None
    except ValueError as error:
        raise bad_request(f"invalid sinceTime: {error}") from None
