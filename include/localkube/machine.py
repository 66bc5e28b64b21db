"""What this machine has to offer: its GPUs, the kind of mount namespace that it allows, and its node object."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from functools import partial
from pathlib import Path

from localkube import mounts, network
from localkube.about import VERSION
from localkube.config import Config
from localkube.errors import LocalkubeError
from localkube.objects import GPU, Key, Obj
from localkube.store import Store
from localkube.values import seconds

AUTO = "auto"
_MAX_PODS = "110"
_SMI_SECONDS = 20
_PROBE_SECONDS = 30


def gpus_of_machine() -> tuple[str, ...]:
    """Return CUDA's names of the GPUs that nvidia-smi lists."""
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=_SMI_SECONDS, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in listed.splitlines() if line.strip().isdigit())


def choose_isolation(wanted: str, root: Path) -> str:
    """Return how containers see their volumes: as wanted, or the best that works here.

    Raise LocalkubeError when this machine does not allow what was asked for.
    """
    if wanted == mounts.PATHS:
        return wanted
    best = [mounts.MOUNTS, mounts.USER_MOUNTS] if os.geteuid() == 0 else [mounts.USER_MOUNTS]
    refusals = []
    for candidate in best if wanted == AUTO else [wanted]:
        refusal = _refusal(candidate, root)
        if not refusal:
            return candidate
        refusals.append(f"{candidate}: {refusal}")
    if wanted != AUTO:
        hint = f"Leave the choice to the cluster with {AUTO}, or take {mounts.PATHS}."
        raise LocalkubeError(f"this machine does not allow the isolation {'; '.join(refusals)}.", hint)
    return mounts.PATHS


def _refusal(candidate: str, root: Path) -> str:
    """Make such a namespace; return why it cannot be made, nothing if it can."""
    who = "user" if candidate == mounts.USER_MOUNTS else "root"
    command = [sys.executable, "-S", "-P", mounts.__file__, str(root), who]
    tried = subprocess.run(command, capture_output=True, text=True, timeout=_PROBE_SECONDS, check=False, env={})
    return (tried.stderr.strip().splitlines() or ["it failed"])[-1] if tried.returncode else ""


def choose_network(wanted: str) -> str:
    """Return how pods with names reach one another: as wanted, or the best that works here.

    Raise LocalkubeError when this machine does not allow what was asked for.
    """
    if wanted == network.LOOPBACK:
        return wanted
    refusal = _network_refusal()
    if not refusal:
        return network.NAMESPACES
    if wanted == network.NAMESPACES:
        hint = f"Leave the choice to the cluster with {AUTO}, or take {network.LOOPBACK}."
        raise LocalkubeError(f"this machine does not allow network namespaces: {refusal}.", hint)
    return network.LOOPBACK


def _network_refusal() -> str:
    """Make such a network; return why it cannot be made, nothing if it can."""
    if os.geteuid() != 0:
        return "they take root"
    name = f"localkube-probe-{os.getpid()}"
    try:
        network.make(name)
        network.remove(name)
    except OSError as error:
        return str(error)
    return ""


def register_nodes(store: Store, config: Config) -> None:
    """Put the nodes into the store, update those of an earlier server, and take out what there is no more."""
    for name, gpus in config.node_gpus.items():
        key = Key("nodes", "", name)
        if store.find(key) is None:
            arch = {"kubernetes.io/os": "linux", "kubernetes.io/arch": platform.machine()}
            labels = {"kubernetes.io/hostname": name, **arch}
            store.create("nodes", {"metadata": {"name": name, "labels": labels}, "spec": {}, "status": {}})
        status = _node_status(config, name, len(gpus))
        store.modify(key, partial(_set_status, status=status))
    for node in store.all("nodes"):
        if node["metadata"]["name"] not in config.node_gpus:
            store.remove(Key("nodes", "", node["metadata"]["name"]))


def _set_status(node: Obj, status: Obj) -> None:
    node["status"] = status


def _node_status(config: Config, name: str, gpus: int) -> Obj:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1024
    capacity = {"cpu": str(os.cpu_count()), "memory": f"{memory}Ki", "pods": _MAX_PODS, GPU: str(gpus)}
    now = seconds()
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "localkube is ready"}
    return {
        "capacity": capacity,
        "allocatable": capacity,
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": name}],
        "conditions": [{**ready, "lastHeartbeatTime": now, "lastTransitionTime": now}],
        "nodeInfo": {
            "kubeletVersion": VERSION,
            "kubeProxyVersion": "",
            "containerRuntimeVersion": f"localkube://{config.isolation}",
            "operatingSystem": "linux",
            "architecture": platform.machine(),
            "kernelVersion": platform.release(),
            "osImage": "this machine",
            "machineID": "",
            "systemUUID": "",
            "bootID": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        },
    }
