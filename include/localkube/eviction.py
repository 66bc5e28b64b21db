"""The eviction of a pod, by which whoever empties a node asks for it to go."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from localkube import status
from localkube.kubelet import Kubelet
from localkube.objects import Key, Obj, is_finished
from localkube.podstatus import set_condition
from localkube.requests import is_dry_run, object_body
from localkube.resources import check_preconditions
from localkube.store import Store


class Evictions:
    """Says in a pod's status why it goes, then deletes it. Budgets that could refuse it do not exist here."""

    def __init__(self, store: Store, kubelet: Kubelet) -> None:
        self._store = store
        self._kubelet = kubelet

    async def create(self, request: Request) -> Response:
        """Answer `POST …/pods/NAME/eviction`. Raise ApiError 404 for a pod that is not there."""
        key = Key("pods", request.path_params["namespace"], request.path_params["name"])
        options = (await object_body(request)).get("deleteOptions") or {}
        pod = self._store.get(key)
        check_preconditions(key, pod, options.get("preconditions") or {})
        if not (is_dry_run(request) or options.get("dryRun")):
            if not is_finished(pod):
                self._store.modify(key, _mark)
            self._kubelet.delete(key, options.get("gracePeriodSeconds"))
        return JSONResponse(status.success("pods", pod), 201)


def _mark(pod: Obj) -> None:
    set_condition(pod, "DisruptionTarget", True, "EvictionByEvictionAPI", "Eviction API: evicting")
