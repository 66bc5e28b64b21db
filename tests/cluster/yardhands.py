"""Pods that reach into the workspace for the tests, which need not see it themselves."""

from __future__ import annotations

import secrets
import shlex
from types import SimpleNamespace
from typing import Any

from clustertarget import Target
from clusterwait import wait_for

from trainyard.cluster.labels import ACCOUNT, MANAGED_BY, OURS
from trainyard.cluster.run import WorkspaceVolume
from trainyard.cluster.security import container_security, pod_security

_AT = "/workspace"


class Hands:
    """Does things in the workspace by short pods of the training pods' own user; paths are relative to it."""

    def __init__(self, core: Any, target: Target, account: str, settings: Any) -> None:
        self._core = core
        self._target = target
        self.account = account
        self._user: Any = SimpleNamespace(user=settings.pod_user, group=settings.pod_group, read_only_root=True)

    @property
    def place(self) -> str:
        """The workspace's folder in these pods."""
        return _AT

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
        name, namespace = self.begin(script), self._target.namespace
        try:
            wait_for(lambda: self._phase(name) in ("Succeeded", "Failed"), f"the end of {name}", self._target.patience)
            stated = self._core.read_namespaced_pod_log(name, namespace, _preload_content=False).data.decode()
            assert self._phase(name) == "Succeeded", f"`{script}` in the workspace failed: {stated}"
            return stated
        finally:
            self.end(name)

    def begin(self, script: str) -> str:
        """Create a pod that runs a script with the workspace at `place`; return its name."""
        name = f"cluster-suite-{secrets.token_hex(4)}"
        self._core.create_namespaced_pod(self._target.namespace, self._pod(name, script))
        return name

    def end(self, name: str) -> None:
        """Remove a pod of `begin`; one that is gone is fine."""
        from kubernetes.client import ApiException

        try:
            self._core.delete_namespaced_pod(name, self._target.namespace, grace_period_seconds=0)
        except ApiException as error:
            if error.status != 404:
                raise

    def pods(self) -> list[Any]:
        """Return every pod of the suite's account, whoever made it."""
        selector = f"{ACCOUNT}={self.account}"
        found: list[Any] = self._core.list_namespaced_pod(self._target.namespace, label_selector=selector).items
        return [pod for pod in found if not pod.metadata.deletion_timestamp]

    def end_all(self) -> None:
        for pod in self.pods():
            self.end(pod.metadata.name)

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
        labels = {MANAGED_BY: OURS, ACCOUNT: self.account}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}
