"""The cluster took a pod away: evicted, preempted, drained, deleted, or its node went down."""

from __future__ import annotations

from trainyard.cluster.diagnosis.row import SUBMIT_AGAIN, Row
from trainyard.cluster.diagnosis.signs import (
    DISK_WORDS,
    container_lost,
    disrupted,
    either,
    evicted,
    is_overdue,
    not_admitted,
    pod_reason,
)

DISRUPTIONS = (
    Row(
        "evicted-for-disk",
        "the node ran full, by whomever",
        lambda f: evicted(f, DISK_WORDS),
        "S102",
        "the training pod was evicted because its node ran out of disk{f.details}",
        SUBMIT_AGAIN,
    ),
    Row(
        "evicted-for-memory",
        "the node ran short: requests equal limits, so others used more than they had reserved",
        lambda f: evicted(f, ("memory",)),
        "S102",
        "the training pod was evicted because its node ran out of memory{f.details}",
        SUBMIT_AGAIN,
    ),
    Row(
        "evicted",
        "by pids or a quota of the node",
        evicted,
        "S102",
        "the training pod was evicted{f.details}",
        SUBMIT_AGAIN,
    ),
    Row(
        "preempted",
        "a pod of higher priority took the place",
        either(
            pod_reason("Preempting", "Preempted"),
            disrupted("PreemptionByScheduler", "PreemptionByKubeScheduler"),
        ),
        "S102",
        "the training pod had to make room for another one",
        SUBMIT_AGAIN,
    ),
    Row(
        "node-shutdown",
        "the kubelet ends its pods before the machine goes down",
        either(pod_reason("Terminated", "NodeShutdown", "Shutdown"), disrupted("TerminationByKubelet")),
        "S102",
        "the training pod's node was shut down",
        SUBMIT_AGAIN,
    ),
    Row(
        "drained",
        "somebody empties the node through the eviction API",
        disrupted("EvictionByEvictionAPI"),
        "S102",
        "the training pod's node is being emptied",
        SUBMIT_AGAIN,
    ),
    Row(
        "node-lost",
        "the control plane, a restarted kubelet or a container runtime after a reboot no longer finds the container",
        either(
            pod_reason("NodeLost"),
            lambda f: f.phase == "Unknown",
            container_lost,
            disrupted("DeletionByTaintManager", "DeletionByPodGC"),
            is_overdue,
        ),
        "S102",
        "the training pod's node was lost, or was started again",
        SUBMIT_AGAIN,
    ),
    Row(
        "not-admitted",
        "the node took back what the scheduler had seen there, often a GPU whose device plugin restarts",
        not_admitted,
        "S100",
        "the node chosen for the training pod had no room for it after all{f.details}",
        SUBMIT_AGAIN,
    ),
    Row(
        "deleted",
        "the service ends pods only of runs that are over, so it was someone else",
        lambda f: f.deleting and f.settled,
        "S102",
        "the training pod was deleted while it ran",
        SUBMIT_AGAIN,
    ),
)
