"""Accounts as the cluster keeps them apart: a priority class for each, how many GPUs its pods may hold, who meets whom.

All accounts share one namespace, and a ResourceQuota counts a namespace's pods by nothing but their priority class.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from trainyard.cluster.environment import GPU
from trainyard.cluster.labels import ACCOUNT, LEARNER, MANAGED_BY, OURS
from trainyard.cluster.names import priority_class
from trainyard.domain.limits import Account
from trainyard.domain.names import label_value


def quota_objects(accounts: Iterable[Account], prefix: str, namespace: str) -> list[dict[str, Any]]:
    """Return what keeps each account apart: its class, quota and policy; and a quota of 0 for pods of no account."""
    found = []
    for account in accounts:
        name = priority_class(prefix, account.name)
        found += [_class(name, account.name), _quota(name, account.name, account.gpus, namespace)]
        found.append(_learners(name, account.name, namespace))
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


def _learners(name: str, account: str, namespace: str) -> dict[str, Any]:
    """Let several learners of an account reach one another, and nobody of another account."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {**_metadata(f"{name}-learners", account), "namespace": namespace},
        "spec": {
            "podSelector": _learners_of(account),
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [{"podSelector": _learners_of(account)}]}],
            "egress": [{"to": [{"podSelector": _learners_of(account)}]}],
        },
    }


def _learners_of(account: str) -> dict[str, Any]:
    labels = {MANAGED_BY: OURS, ACCOUNT: label_value(account)}
    return {"matchLabels": labels, "matchExpressions": [{"key": LEARNER, "operator": "Exists"}]}


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
