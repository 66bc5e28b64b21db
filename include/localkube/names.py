"""Names of pods: a headless service gives those that it selects, by host name and subdomain, to one another.

There is no DNS server: each such pod has a hosts file of its own, which is kept up to date.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

from localkube import network
from localkube.config import Config
from localkube.objects import Key, Obj, is_finished
from localkube.store import Store

_MACHINE = Path("/etc/hosts")
_DOMAIN = "svc.cluster.local"


def has_name(pod: Obj) -> bool:
    """Say whether others may find a pod by a name."""
    return bool(pod["spec"].get("subdomain"))


def hosts_file(config: Config, pod: Obj) -> Path:
    return config.pod(pod["metadata"]["uid"]).path / "hosts"


def free_address(store: Store, config: Config) -> str:
    """Return an address that no other pod has."""
    taken = {pod["status"].get("podIP") for pod in store.all("pods") if not is_finished(pod)}
    addresses = (f"{network.SUBNETS[config.network]}{number // 250}.{number % 250 + 2}" for number in count())
    return next(address for address in addresses if address not in taken)


def write_hosts(store: Store, config: Config, namespace: str, subdomain: str) -> None:
    """Write the hosts files of all pods of a subdomain, in place: containers have them mounted."""
    members = [pod for pod in store.all("pods", namespace) if pod["spec"].get("subdomain") == subdomain]
    with_address = [pod for pod in members if pod["status"].get("podIP") and not is_finished(pod)]
    service = store.find(Key("services", namespace, subdomain))
    known = "".join(_lines(with_address, service))
    machine = _MACHINE.read_text() if _MACHINE.exists() else "127.0.0.1 localhost\n"
    for pod in with_address:
        path = hosts_file(config, pod)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        own = f"{pod['status']['podIP']} {host_name(pod)}\n"
        path.write_text(f"{machine.rstrip()}\n{own}{known}")


def host_name(pod: Obj) -> str:
    return pod["spec"].get("hostname") or pod["metadata"]["name"]


def _lines(pods: list[Obj], service: Obj | None) -> Iterator[str]:
    selector = ((service or {}).get("spec") or {}).get("selector") or {}
    for pod in pods:
        labels = pod["metadata"].get("labels") or {}
        if service and selector and selector.items() <= labels.items() and pod["spec"].get("hostname"):
            short = f"{pod['spec']['hostname']}.{service['metadata']['name']}"
            namespace = pod["metadata"]["namespace"]
            yield f"{pod['status']['podIP']} {short}.{namespace}.{_DOMAIN} {short}.{namespace} {short}\n"
