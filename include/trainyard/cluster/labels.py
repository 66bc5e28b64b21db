"""How a pod says whose it is: labels to select by, annotations for what does not fit a label."""

from __future__ import annotations

from collections.abc import Mapping

from trainyard.cluster.run import PodRun
from trainyard.domain.names import RunKey, label_value

MANAGED_BY = "app.kubernetes.io/managed-by"
OURS = "trainyard"
MODEL_ID = "trainyard/model-id"
TRAINING_ID = "trainyard/training-id"
ATTEMPT = "trainyard/attempt"
LEARNER = "trainyard/learner"
WORKSPACE = "trainyard/workspace"
ACCOUNT = "trainyard/account"
NAME = "trainyard/name"
FRAMEWORK = "trainyard/framework"
FRAMEWORK_VERSION = "trainyard/framework-version"
AUTHOR = "trainyard/author"

# Of Kueue, which admits the pods of a group together: its names, from its documentation of plain pods.
_QUEUE, _GROUP = "kueue.x-k8s.io/queue-name", "kueue.x-k8s.io/pod-group-name"
_GROUP_SIZE, _REPLACED = "kueue.x-k8s.io/pod-group-total-count", "kueue.x-k8s.io/retriable-in-group"

_ANNOTATION_LENGTH = 1000


def pod_labels(run: PodRun) -> dict[str, str]:
    """Return the labels. Model ids and attempts are exact; other texts are bent to the syntax of labels."""
    return {
        MANAGED_BY: OURS,
        MODEL_ID: run.key.model_id,
        TRAINING_ID: run.key.training_id,
        ATTEMPT: str(run.attempt),
        ACCOUNT: label_value(run.plan.account),
        NAME: label_value(run.spec.name),
        FRAMEWORK: label_value(run.spec.framework.name),
        FRAMEWORK_VERSION: label_value(run.spec.framework.version),
        **({LEARNER: str(run.learner)} if run.several else {}),
        **({_QUEUE: run.queue} if run.queue else {}),
        **({_GROUP: run.prefix} if run.queue and run.several else {}),
    }


def pod_annotations(run: PodRun) -> dict[str, str]:
    """Return the same texts as they were written, cut only where they are longer than anybody reads."""
    texts = {
        ACCOUNT: run.plan.account,
        NAME: run.spec.name,
        FRAMEWORK: run.spec.framework.name,
        FRAMEWORK_VERSION: run.spec.framework.version,
        AUTHOR: str(run.spec.author or ""),
    }
    written = {key: text[:_ANNOTATION_LENGTH] for key, text in texts.items() if text}
    return {**written, **_group_annotations(run)}


def attempt_labels(run: PodRun) -> dict[str, str]:
    """Return the labels that all pods of an attempt have, and no others."""
    ids = {TRAINING_ID: run.key.training_id, MODEL_ID: run.key.model_id}
    return {MANAGED_BY: OURS, **ids, ATTEMPT: str(run.attempt)}


def _group_annotations(run: PodRun) -> dict[str, str]:
    """Tell Kueue how many pods its group has, and that the service replaces all of them or none."""
    return {_GROUP_SIZE: str(run.plan.learners), _REPLACED: "false"} if run.queue and run.several else {}


def run_selector(run: RunKey) -> str:
    """Return the label selector of all pods of a run, whatever the attempt."""
    return f"{MANAGED_BY}={OURS},{TRAINING_ID}={run.training_id},{MODEL_ID}={run.model_id}"


def attempt_selector(run: RunKey, attempt: str) -> str:
    """Return the label selector of all pods of one attempt of a run."""
    return f"{run_selector(run)},{ATTEMPT}={attempt}"


def account_selector(account: str) -> str:
    """Return the label selector of all pods of an account; an annotation separates accounts whose labels are one."""
    return f"{MANAGED_BY}={OURS},{ACCOUNT}={label_value(account)}"


def run_of(labels: Mapping[str, str]) -> RunKey | None:
    """Return the run that a pod's labels name, None where they name none."""
    training_id, model_id = labels.get(TRAINING_ID), labels.get(MODEL_ID)
    return RunKey(training_id, model_id) if training_id and model_id else None
