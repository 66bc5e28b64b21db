"""Every name that is derived from another: model ids, pods, pools, connections."""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from dataclasses import dataclass

from trainyard.domain.characters import NOT_SHOWN

BASE62 = string.ascii_letters + string.digits
MODEL_ID_PREFIX = "training-"
MODEL_ID = re.compile(r"training-[A-Za-z0-9]{9}")
CPU_POOL = "cpu"
MAX_RUN_NAME = 256


@dataclass(frozen=True, order=True)
class RunKey:
    """A run among the runs of all trainings.

    Airflow distinguishes the runs of one DAG by their ids, and lets two DAGs have runs of the same id: whatever belongs
    to a run is found by both.
    """

    training_id: str
    model_id: str

    def __str__(self) -> str:
        return f"{self.training_id}.{self.model_id}"

    @classmethod
    def first_of(cls, training_id: str) -> RunKey:
        """Return the first run of a training, whose model id is the training's own."""
        return cls(training_id, training_id)

    @property
    def valid(self) -> bool:
        """Say whether both ids are of the form that the service makes; of any other nothing is ever made."""
        return is_model_id(self.training_id) and is_model_id(self.model_id)

    @classmethod
    def parse(cls, text: str) -> RunKey | None:
        """Read back what `str` writes; None for anything else."""
        training_id, _, model_id = text.partition(".")
        run = cls(training_id, model_id)
        return run if run.valid else None


def fault_of_run_name(name: str) -> tuple[str, str] | None:
    """Return what hinders a text from being a run's own name, and the hint; None if nothing does."""
    if len(name) > MAX_RUN_NAME:
        return f"the name is over {MAX_RUN_NAME} characters long.", "Shorten it."
    if NOT_SHOWN.search(name) or set(name) & {"\n", "\t"}:
        return "the name holds a character that nobody sees.", "Write it on one line, without control characters."
    return None


def new_model_id() -> str:
    """Return a fresh model id: `training-` and 9 base62 characters (53 bits)."""
    return "training-" + "".join(secrets.choice(BASE62) for _ in range(9))


def derived_id(training_id: str, what: str) -> str:
    """Return a model id that is always the same for something of a training, and no other's."""
    rest = int.from_bytes(hashlib.sha256(f"{training_id} {what}".encode()).digest(), "big")
    digits = []
    for _ in range(9):
        rest, digit = divmod(rest, len(BASE62))
        digits.append(BASE62[digit])
    return "training-" + "".join(digits)


def is_model_id(text: str) -> bool:
    return MODEL_ID.fullmatch(text) is not None


def pod_name(run: RunKey, attempt: int) -> str:
    """Name the pod of one attempt of one run.

    Kubernetes wants lower case while model ids distinguish cases, so a digest keeps two ids that differ only in case
    from meeting in one name, and two trainings' runs of one id.
    """
    return f"{_lower_name(run)}-{attempt}"


def secret_name(run: RunKey) -> str:
    """Name the Kubernetes Secret of a run, which all its attempts have."""
    return f"{_lower_name(run)}-secrets"


def _lower_name(run: RunKey) -> str:
    digest = hashlib.sha256(str(run).encode()).hexdigest()[:8]
    return f"{run.model_id.lower()}-{digest}"


def learner_name(run: RunKey, attempt: int, learner: int) -> str:
    """Name the pod, and the host, of one of several learners, which count from 1; hosts count from 0, as of old."""
    return f"{pod_name(run, attempt)}-{learner - 1}"


def account_pool(account: str) -> str:
    return f"gpus-{account}"


def checks_pool(account: str) -> str:
    return f"checks-{account}"


def transfers_pool(account: str) -> str:
    return f"transfers-{account}"


def cleanups_pool(account: str) -> str:
    return f"cleanups-{account}"


def data_connection(training_id: str) -> str:
    return f"{training_id}.data"


def results_connection(training_id: str) -> str:
    return f"{training_id}.results"


def notify_connection(training_id: str) -> str:
    return f"{training_id}.notify"


def document_connection(kind: str, document_id: str, side: str) -> str:
    """Name the connection of a stored document's store: `definition-<id>.data`; a side is `data` or `results`."""
    return f"{_DOCUMENT_WORDS[kind]}-{document_id}.{side}"


def document_of(connection: str) -> tuple[str, str] | None:
    """Return id and kind of the document that a connection is of; None for another's."""
    found = _OF_DOCUMENT.fullmatch(connection)
    kinds = {word: kind for kind, word in _DOCUMENT_WORDS.items()}
    return (found[2], kinds[found[1]]) if found else None


_DOCUMENT_WORDS = {"training_definitions": "definition", "experiments": "experiment"}
_OF_DOCUMENT = re.compile(r"(definition|experiment)-([0-9a-f-]{36})\.(?:data|results)")


def label_value(text: str) -> str:
    """Bend any text into a Kubernetes label value: at most 63 of [A-Za-z0-9_.-], alphanumeric at both ends."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text)[:63].strip("-_.")
