"""The one node: this machine."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from localkube.config import NODE, ClusterConfig
from localkube.discovery import VERSION
from localkube.objects import Key, Obj
from localkube.quantities import GPU
from localkube.store import Store
from localkube.timestamps import seconds

_PODS = "110"


def register_node(store: Store, config: ClusterConfig) -> None:
    """Put the node into the store, or bring the one of an earlier server up to date."""
    key = Key("nodes", "", NODE)
    if store.find(key) is None:
        labels = {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux", "kubernetes.io/arch": platform.machine()}
        store.create("nodes", {"metadata": {"name": NODE, "labels": labels}, "spec": {}, "status": {}})
    status = _status(config)
    store.modify(key, lambda node: node.update(status=status))


def _status(config: ClusterConfig) -> Obj:
    capacity = {"cpu": str(os.cpu_count()), "memory": f"{_memory_kib()}Ki", "pods": _PODS, GPU: str(len(config.gpus))}
    now = seconds()
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "the local cluster is ready"}
    return {
        "capacity": capacity,
        "allocatable": capacity,
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": NODE}],
        "conditions": [{**ready, "lastHeartbeatTime": now, "lastTransitionTime": now}],
        "nodeInfo": {
            "kubeletVersion": VERSION,
            "kubeProxyVersion": "",
            "containerRuntimeVersion": f"trainyard://{config.isolation}",
            "operatingSystem": "linux",
            "architecture": platform.machine(),
            "kernelVersion": platform.release(),
            "osImage": "this machine",
            "machineID": "",
            "systemUUID": "",
            "bootID": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        },
    }


def _memory_kib() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1])
    return 0
