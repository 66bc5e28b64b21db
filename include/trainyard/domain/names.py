"""Every name that is derived from another: model ids, pods, pools, connections."""

from __future__ import annotations

import hashlib
import re
import secrets
import string

_BASE62 = string.ascii_letters + string.digits
MODEL_ID = re.compile(r"training-[A-Za-z0-9]{9}")
STAGING_POOL = "staging"
CPU_POOL = "cpu"


def new_model_id() -> str:
    """Return a fresh model id: `training-` and 9 base62 characters (53 bits)."""
    return "training-" + "".join(secrets.choice(_BASE62) for _ in range(9))


def is_model_id(text: str) -> bool:
    return MODEL_ID.fullmatch(text) is not None


def is_run_id(text: str) -> bool:
    """Say whether something in the workspace has the name of a run, also of one that got an id of Airflow's kind."""
    return is_model_id(text) or "__" in text


def pod_name(model_id: str, attempt: int) -> str:
    """Name the pod of one attempt of one run.

    Kubernetes wants lower case while model ids tell cases apart, so a digest keeps two ids that differ only in case
    from meeting in one name.
    """
    digest = hashlib.sha256(model_id.encode()).hexdigest()[:6]
    return f"{model_id.lower()}-{digest}-{attempt}"


def account_pool(account: str) -> str:
    return f"gpus-{account}"


def data_connection(training_id: str) -> str:
    return f"{training_id}.data"


def results_connection(training_id: str) -> str:
    return f"{training_id}.results"


def label_value(text: str) -> str:
    """Bend any text into a Kubernetes label value: at most 63 of [A-Za-z0-9_.-], alphanumeric at both ends."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text)[:63].strip("-_.")
