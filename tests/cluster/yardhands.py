"""Pods that reach into the workspace for the tests, which need not see it themselves."""

from __future__ import annotations

import secrets
import shlex
from types import SimpleNamespace
from typing import Any

from clustertarget import Target
from clusterwait import wait_for

from trainyard.pods.labels import ACCOUNT, MANAGED_BY, OURS
from trainyard.pods.run import WorkspaceVolume
from trainyard.pods.security import container_security, pod_security

_AT = "/workspace"


class Hands:
    """Does things in the workspace by short pods of the training pods' own user; paths are relative to it."""

    def __init__(self, core: Any, target: Target, account: str, settings: Any) -> None:
        self._core = core
        self._target = target
        self._account = account
        self._user: Any = SimpleNamespace(user=settings.pod_user, group=settings.pod_group, read_only_root=True)

    def make(self, *folders: str) -> None:
        self._done(f"mkdir -p {' '.join(self._path(folder) for folder in folders)}")

    def read(self, path: str) -> str:
        return self._done(f"cat {self._path(path)}")

    def remove(self, *paths: str) -> None:
        self._done(f"rm -rf {' '.join(self._path(path) for path in paths)}")

    def _path(self, path: str) -> str:
        return shlex.quote(f"{_AT}/{path}")

    def _done(self, script: str) -> str:
        """Run a script in a pod of its own; return what it printed."""
        name, namespace = f"cluster-suite-{secrets.token_hex(4)}", self._target.namespace
        self._core.create_namespaced_pod(namespace, self._pod(name, script))
        try:
            wait_for(lambda: self._phase(name) in ("Succeeded", "Failed"), f"the end of {name}", self._target.patience)
            said = self._core.read_namespaced_pod_log(name, namespace, _preload_content=False).data.decode()
            assert self._phase(name) == "Succeeded", f"`{script}` in the workspace failed: {said}"
            return said
        finally:
            self._core.delete_namespaced_pod(name, namespace, grace_period_seconds=0)

    def _phase(self, name: str) -> str:
        phase: str = self._core.read_namespaced_pod(name, self._target.namespace).status.phase
        return phase

    def _pod(self, name: str, script: str) -> dict[str, Any]:
        volume = WorkspaceVolume.of(self._target.workspace, "")
        source: dict[str, Any] = {"hostPath": {"path": volume.folder, "type": "Directory"}}
        if volume.claim:
            source = {"persistentVolumeClaim": {"claimName": volume.claim}}
        container = {
            "name": "hands",
            "image": self._target.image,
            "command": ["sh", "-c", script],
            "volumeMounts": [{"name": "workspace", "mountPath": _AT}],
            "securityContext": container_security(self._user),
            "resources": {"limits": {"cpu": "500m", "memory": "128Mi"}},
        }
        spec = {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": pod_security(self._user),
            "containers": [container],
            "volumes": [{"name": "workspace", **source}],
        }
        labels = {MANAGED_BY: OURS, ACCOUNT: self._account}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}
