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
ACCOUNT = "trainyard/account"
NAME = "trainyard/name"
FRAMEWORK = "trainyard/framework"
FRAMEWORK_VERSION = "trainyard/framework-version"
AUTHOR = "trainyard/author"

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
    return {key: text[:_ANNOTATION_LENGTH] for key, text in texts.items() if text}


def run_selector(run: RunKey) -> str:
    """Return the label selector of all pods of a run, whatever the attempt."""
    return f"{MANAGED_BY}={OURS},{TRAINING_ID}={run.training_id},{MODEL_ID}={run.model_id}"


def account_selector(account: str) -> str:
    """Return the label selector of all pods of an account; an annotation tells apart accounts whose labels are one."""
    return f"{MANAGED_BY}={OURS},{ACCOUNT}={label_value(account)}"


def run_of(labels: Mapping[str, str]) -> RunKey | None:
    """Return the run that a pod's labels name, None where they name none."""
    training_id, model_id = labels.get(TRAINING_ID), labels.get(MODEL_ID)
    return RunKey(training_id, model_id) if training_id and model_id else None
