"""The pod security standard `restricted`, as the checks that Kubernetes' own admission makes of a pod."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
_PROFILES = ("RuntimeDefault", "Localhost")


def violations(pod: dict[str, Any]) -> list[str]:
    """Return what `restricted` forbids of a pod; a pod without any may run in a namespace that enforces it."""
    spec = pod["spec"]
    containers = [*spec.get("initContainers", []), *spec["containers"], *spec.get("ephemeralContainers", [])]
    return [*_of_pod(spec), *(fault for container in containers for fault in _of_container(spec, container))]


def _of_pod(spec: dict[str, Any]) -> Iterator[str]:
    yield from (key for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key))
    context = spec.get("securityContext", {})
    yield from (key for key in ("sysctls", "seLinuxOptions", "windowsOptions") if context.get(key))
    for volume in spec.get("volumes", []):
        yield from (f"volume {kind}" for kind in volume.keys() - {"name"} - _VOLUMES)


def _of_container(spec: dict[str, Any], container: dict[str, Any]) -> Iterator[str]:
    own = container.get("securityContext", {})
    both = {**spec.get("securityContext", {}), **own}
    if own.get("privileged"):
        yield "privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation"
    capabilities = own.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", []) or set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield "capabilities"
    if both.get("runAsNonRoot") is not True or both.get("runAsUser") == 0:
        yield "root"
    if both.get("seccompProfile", {}).get("type") not in _PROFILES:
        yield "seccompProfile"
    if both.get("appArmorProfile", {}).get("type", "RuntimeDefault") not in _PROFILES:
        yield "appArmorProfile"
    if own.get("procMount", "Default") != "Default":
        yield "procMount"
    yield from ("hostPort" for port in container.get("ports", []) if port.get("hostPort"))
    yield from (f"host of {probe}" for probe in _probes(container) if _names_a_host(container[probe]))


def _probes(container: dict[str, Any]) -> Iterator[str]:
    return (name for name in ("livenessProbe", "readinessProbe", "startupProbe") if name in container)


def _names_a_host(probe: dict[str, Any]) -> bool:
    return any(probe.get(way, {}).get("host") for way in ("httpGet", "tcpSocket"))
