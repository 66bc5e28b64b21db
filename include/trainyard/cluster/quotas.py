"""Quotas as the cluster keeps them: a priority class for each account, and how many GPUs its pods may hold.

All accounts share one namespace, and a ResourceQuota counts a namespace's pods by nothing but their priority class.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from trainyard.cluster.environment import GPU
from trainyard.cluster.labels import ACCOUNT, MANAGED_BY, OURS
from trainyard.cluster.names import priority_class
from trainyard.domain.limits import Account


def quota_objects(accounts: Iterable[Account], prefix: str, namespace: str) -> list[dict[str, Any]]:
    """Return the priority class and the quota of each account, and the quota of pods that are no account's: no GPU."""
    found = []
    for account in accounts:
        name = priority_class(prefix, account.name)
        found += [_class(name, account.name), _quota(name, account.name, account.gpus, namespace)]
    return [*found, _without_account(f"{prefix}no-account", namespace)]


def _class(name: str, account: str) -> dict[str, Any]:
    """All accounts are worth the same: none of their pods may end another's."""
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": _metadata(name, account),
        "value": 0,
        "preemptionPolicy": "Never",
        "description": f"Trainings of the account {account}",
    }


def _quota(name: str, account: str, gpus: int, namespace: str) -> dict[str, Any]:
    selector = {"scopeName": "PriorityClass", "operator": "In", "values": [name]}
    return _limited({**_metadata(name, account), "namespace": namespace}, gpus, selector)


def _without_account(name: str, namespace: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "labels": {MANAGED_BY: OURS}}
    return _limited(metadata, 0, {"scopeName": "PriorityClass", "operator": "DoesNotExist"})


def _limited(metadata: Mapping[str, Any], gpus: int, selector: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": dict(metadata),
        "spec": {"hard": {f"requests.{GPU}": str(gpus)}, "scopeSelector": {"matchExpressions": [dict(selector)]}},
    }


def _metadata(name: str, account: str) -> dict[str, Any]:
    return {"name": name, "labels": {MANAGED_BY: OURS}, "annotations": {ACCOUNT: account}}
