"""Networks of their own for pods that others find by name, as namespaces joined by a bridge. Light, for the shim.

The bridge lies in a namespace of the cluster's own, so that neither addresses nor firewalls of this machine matter, and
nothing of the machine's network changes. No way leads out of it.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
from typing import Any

from localkube.mounts import join_network

NAMESPACES = "namespaces"  # each such pod has a network of its own
LOOPBACK = "loopback"  # each has a loopback address of its own, and shares the ports of all addresses with the machine

# Of each kind the network whose addresses pods get.
SUBNETS = {NAMESPACES: "10.77.", LOOPBACK: "127.77."}
_CLONE_NEWNET = 0x40000000
_BRIDGE = "pods0"
_SECONDS = 30
_libc = ctypes.CDLL(None, use_errno=True)


def name_of(folder: str) -> str:
    """Name the network of the cluster in a folder."""
    return f"localkube-{hashlib.sha256(folder.encode()).hexdigest()[:12]}"


def make(name: str) -> None:
    """Make the network of a cluster unless it is there. Raise OSError with what the machine refused."""
    if os.path.exists(f"/run/netns/{name}"):
        return
    _ip("netns", "add", name)
    _ip_all(f"link add {_BRIDGE} type bridge", f"link set {_BRIDGE} up", inside=name)


def remove(name: str) -> None:
    """Remove the network of a cluster; one that is not there is fine."""
    if os.path.exists(f"/run/netns/{name}"):
        _ip("netns", "del", name)


def enter(network: dict[str, Any]) -> int:
    """Make the network namespace of a pod, joined to its cluster's; return its descriptor, which keeps it.

    Raise OSError with what the machine refused.
    """
    host = os.open("/proc/self/ns/net", os.O_RDONLY)
    _check(_libc.unshare(_CLONE_NEWNET), "unshare of the network")
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    join_network(host)
    os.close(host)
    cluster, outer = network["name"], f"v{hashlib.sha256(network['address'].encode()).hexdigest()[:12]}"
    _ip_all(
        f"link add {outer} type veth peer name eth0 netns /proc/{os.getpid()}/fd/{own}",
        f"link set {outer} master {_BRIDGE} up",
        inside=cluster,
    )
    inside = os.open("/proc/self/ns/net", os.O_RDONLY)
    join_network(own)
    try:
        _ip_all("link set lo up", f"addr add {network['address']}/16 dev eth0", "link set eth0 up")
    finally:
        join_network(inside)
        os.close(inside)
    return own


def _ip_all(*commands: str, inside: str = "") -> None:
    """Run commands of `ip` by one process, `inside` a named namespace or where this process is."""
    where = ("-n", inside) if inside else ()
    _ip(*where, "-batch", "-", text="\n".join(commands))


def _ip(*arguments: str, text: str = "") -> None:
    said = f"ip {' '.join(arguments)} {text}".strip()
    try:
        done = subprocess.run(
            ["ip", *arguments], input=text, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise OSError(f"{said}: no answer") from None
    if done.returncode:
        raise OSError(f"{said}: {done.stderr.strip() or 'it failed'}")


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
