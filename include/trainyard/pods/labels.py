"""How a pod says whose it is: labels to select by, annotations for what does not fit a label."""

from __future__ import annotations

from trainyard.domain.names import label_value
from trainyard.pods.run import PodRun

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
        MODEL_ID: run.model_id,
        TRAINING_ID: run.training_id,
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


def run_selector(model_id: str) -> str:
    """Return the label selector of all pods of a run, whatever the attempt."""
    return f"{MANAGED_BY}={OURS},{MODEL_ID}={model_id}"
