"""What is seen of an installation, judged: plain values in, findings out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from trainyard.cluster.environment import GPU
from trainyard.domain.finding import Finding, fine, warned, wrong
from trainyard.domain.limits import Limits
from trainyard.quantity import quantity

SKEW_SECONDS = 5.0
_FRACTION = re.compile(r"(?<=:\d\d)\.\d+")
# As Airflow's health page names them -> as people start them.
PARTS = {"scheduler": "scheduler", "triggerer": "triggerer", "dag_processor": "dag-processor"}
_APPLY_RIGHTS = "Apply deploy/kubernetes/trainings, and look at the subjects in its rights.yaml."
_MEANWHILE = {
    "scheduler": "no step of any run starts",
    "triggerer": "no training ends, and no schedule or inbox is watched",
    "dag_processor": "new trainings are not known",
}


def parts(health: Mapping[str, Any]) -> list[Finding]:
    """Judge the parts of Airflow by its own health report."""
    return [_part(key, health.get(key) or {}) for key in PARTS]


def _part(key: str, stated: Mapping[str, Any]) -> Finding:
    name, beat = PARTS[key], stated.get(f"latest_{key}_heartbeat")
    last = f"last heartbeat {_FRACTION.sub('', str(beat))}" if beat else "never seen"
    if stated.get("status") == "healthy":
        return fine(name, f"alive, {last}")
    hint = f"Start it, or look at its log: until then {_MEANWHILE[key]}."
    return wrong(name, f"not alive, {last}", hint)


def pools(
    wanted: Mapping[str, tuple[int, bool]], there: Mapping[str, tuple[int, bool]], unused: bool = False
) -> list[Finding]:
    """Compare the pools that there have to be with those there are: slots, and whether deferred tasks keep theirs.

    A service that nobody has `unused` yet has none: they are made with the first request.
    """
    if unused and not wanted.keys() & there.keys():
        return [fine("pools", "none is there yet: the first submission makes them")]
    faults = [fault for name, size in wanted.items() if (fault := _pool_fault(name, size, there.get(name)))]
    if faults:
        hint = "Run `trainyard quota` as an admin: it brings the pools after quotas.yaml."
        return [wrong("pools", "; ".join(faults), hint)]
    return [fine("pools", f"{len(wanted)} pools are as quotas.yaml and the settings say")]


def _pool_fault(name: str, wanted: tuple[int, bool], there: tuple[int, bool] | None) -> str:
    if there is None:
        return f"pool {name} is missing"
    if there[0] != wanted[0]:
        return f"pool {name} has {there[0]} slots instead of {wanted[0]}"
    if there[1] != wanted[1]:
        return f"pool {name} {'does not count' if wanted[1] else 'counts'} deferred tasks"
    return ""


def tenants(limits: Limits, on_cluster: bool) -> list[Finding]:
    """Say whether members of one account are kept from the runs of another, which a cluster usually has users for."""
    open_to_all = [account.name for account in limits.accounts.values() if "*" in account.members]
    if len(open_to_all) < len(limits.accounts):
        shared = f"; every user is a member of {', '.join(open_to_all)}" if open_to_all else ""
        closed = len(limits.accounts) - len(open_to_all)
        return [fine("tenants", f"{closed} accounts have members of their own{shared}")]
    seen = 'every user is a member of every account (members: ["*"]): everybody is one tenant'
    if not on_cluster:
        return [fine("tenants", f"{seen}, as on a machine of one's own")]
    hint = "Name the members of each account in quotas.yaml: until then every user reads, cancels and deletes all runs."
    return [warned("tenants", seen, hint)]


def audit(where: str, written: bool, lost: int, reason: str) -> list[Finding]:
    """Say whether an event could be written just now, and how many could not since the process started."""
    hint = "Look at the folder's disk and its rights (TRAINYARD_AUDIT_LOG); what was lost is in the api-server's log."
    if not written:
        return [wrong("audit log", f"{where} cannot be written: {reason}", hint)]
    if lost:
        return [wrong("audit log", f"{where} is written again; {lost} events before were lost: {reason}", hint)]
    return [fine("audit log", f"{where} is written")]


def notifications(dead: Sequence[str], failing: int) -> list[Finding]:
    """Judge what notifications were given up, by why, and how many are tried again."""
    if dead:
        hint = "Fix what receives them, then `trainyard notify retry`; `trainyard notify list` names them."
        return [warned("notifications", f"{len(dead)} were given up, the last one because {dead[-1]}", hint)]
    return [fine("notifications", f"{failing} are tried again" if failing else "all have arrived")]


def gpus(limits: Limits, nodes: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Compare the GPUs of the nodes that take pods with what the accounts own together."""
    having = [count for node in nodes if _takes_pods(node) and (count := _gpus_of(node))]
    owned = sum(account.gpus for account in limits.accounts.values())
    seen = f"{sum(having)} GPUs on {len(having)} of {len(nodes)} nodes, and the accounts own {owned}"
    if owned <= sum(having):
        return [fine("gpus", seen)]
    hint = (
        "Give accounts fewer in quotas.yaml, or add nodes. Nodes that are cordoned or not ready do not count; a node "
        "with GPUs and none in its `allocatable` lacks the device plugin."
    )
    return [wrong("gpus", f"the quotas are larger than the cluster: {seen}", hint)]


def _takes_pods(node: Mapping[str, Any]) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or ()
    ready = any(row.get("type") == "Ready" and row.get("status") == "True" for row in conditions)
    return ready and not (node.get("spec") or {}).get("unschedulable")


def _gpus_of(node: Mapping[str, Any]) -> int:
    return int(quantity(((node.get("status") or {}).get("allocatable") or {}).get(GPU) or 0))


def skew(began: float, ended: float, stated: float) -> float:
    """Return by how many seconds a clock is ahead at least (behind if negative) that told whole seconds, cut off.

    It was asked and answered between the two moments; all in seconds since the epoch.
    """
    at_least, at_most = stated - ended, stated + 1 - began
    return max(0.0, at_least) or min(0.0, at_most)


def clocks(skews: Mapping[str, float]) -> list[Finding]:
    """Judge by how many seconds other clocks are ahead of this process's."""
    reported = ", ".join(f"{name} {skew:+.0f} s" for name, skew in skews.items())
    if all(abs(skew) <= SKEW_SECONDS for skew in skews.values()):
        return [fine("clocks", f"they agree with this process's: {reported}")]
    hint = "Let all machines take their time from one server (NTP): deadlines, schedules and tokens go by it."
    return [wrong("clocks", f"they differ from this process's clock: {reported}", hint)]


def rights(namespace: str, who: str, refused: Iterable[str], asked: Sequence[str]) -> list[Finding]:
    """Say what the service's user of the cluster may not do although it has to."""
    lacking = ", ".join(refused)
    if not lacking:
        return [fine("rights", f"{who} may {', '.join(asked)} pods in {namespace}")]
    return [wrong("rights", f"{who} may not {lacking} pods in {namespace}", _APPLY_RIGHTS)]


def further_rights(namespace: str, who: str, refused: Iterable[str], resource: str, losing: str) -> list[Finding]:
    """Say what that user may not do with a resource that some runs need; nothing if all is allowed."""
    lacking = ", ".join(refused)
    message = f"{who} may not {lacking} {resource} in {namespace}, so that {losing} fail"
    return [wrong("rights", message, _APPLY_RIGHTS)] if lacking else []
