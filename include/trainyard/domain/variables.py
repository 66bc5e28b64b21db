"""Variables that a manifest gives to its program: shown ones, and secrets that are kept apart and named only."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from trainyard.domain.hyperparameters import is_text

# Shorter than this a value cannot be masked without masking ordinary text.
MIN_SECRET_LENGTH = 8
MAX_SECRET_BYTES = 32 * 1024

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}", re.ASCII)
# In capitals, so that a value that stands where a name belongs is no name.
_SECRET = re.compile(r"[A-Z][A-Z0-9_]{0,99}", re.ASCII)
# What the pod sets, and what the shell of the wrapper obeys or changes by itself. Python, pip and CUDA have settings
# that people need, which no hyperparameter should set by accident.
_OURS = re.compile(
    r"""
    (DATA|MODEL|RESULT|LOG|JOB_STATE|CHECKPOINT)_DIR | RESUME_FROM | TRAINING_(ID|COMMAND) | GPU_COUNT | NUM_LEARNERS
    | LEARNER_\w+ | SUBID | TERMINATION_LOG | TRAINYARD_\w+ | KUBERNETES_\w+ | LOCALKUBE_\w+
    | PATH | HOME | USER | LOGNAME | HOSTNAME | SHELL | SHELLOPTS | BASH\w* | IFS | ENV | CDPATH | PWD | OLDPWD | PS\d
    | PROMPT_COMMAND | OPT(ARG|IND|ERR) | _ | E?UID | PPID | GROUPS | S?RANDOM | SECONDS | LINENO | SHLVL | REPLY
    | DIRSTACK | FUNCNAME | FUNCNEST | GLOBIGNORE | EPOCH\w+ | POSIXLY_CORRECT
    | VIRTUAL_ENV | PYTHONUNBUFFERED | PYTHONHOME | PIP_DISABLE_PIP_VERSION_CHECK
    | (CUDA|NVIDIA)_VISIBLE_DEVICES
    """,
    re.VERBOSE,
)


@dataclass(frozen=True)
class Holder:
    """Whose something is: a user's own, or an account's."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def key(self) -> str:
        """Return what connections are named by: users and accounts may have names that no connection can have."""
        return f"{self.kind}.{hashlib.sha256(self.name.encode()).hexdigest()[:24]}"

    @classmethod
    def user(cls, name: str) -> Holder:
        return cls("user", name)

    @classmethod
    def account(cls, name: str) -> Holder:
        return cls("account", name)


@dataclass(frozen=True)
class KeptSecret:
    """What is shown of a secret that is kept; `changed_at` is in seconds since the epoch."""

    name: str
    holder: Holder
    changed_at: float
    changed_by: str


def fault_of_variable(name: str) -> tuple[str, str] | None:
    """Return what hinders a name from being a variable of `env`, and the hint; None if nothing does."""
    if not _NAME.fullmatch(name):
        hint = "Use letters, digits and underscores, at most 100, and no digit in front."
        return f"{name[:60]} cannot be the name of an environment variable.", hint
    if _OURS.fullmatch(name):
        return f"{name} is set for every program already.", "Use another name."
    return None


def fault_of_secret(name: str) -> tuple[str, str] | None:
    """Return what hinders a name from being a secret's, and the hint; a text that is no such name is not repeated."""
    if not _SECRET.fullmatch(name):
        hint = "Use capital letters, digits and underscores, such as WANDB_API_KEY; keep the value with `secret set`."
        return "this cannot be the name of a secret.", hint
    return fault_of_variable(name)


def fault_of_secret_value(value: str) -> tuple[str, str] | None:
    """Return why a value cannot be kept as a secret, and the hint; None where it can."""
    if not is_text(value):
        return "the secret has characters that no environment variable can have", "Keep it encoded, as in base64."
    if len(value.encode()) > MAX_SECRET_BYTES:
        return f"the secret has more than {MAX_SECRET_BYTES} bytes", "Keep a shorter one."
    if len(value) < MIN_SECRET_LENGTH or not value.strip():
        message = f"the secret has fewer than {MIN_SECRET_LENGTH} characters, which cannot be masked in a log"
        return message, "Use a longer one; what is no secret belongs below env in the manifest."
    return None
