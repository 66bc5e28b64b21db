"""What a training program finds in its environment, and the wrapper that starts it."""

from __future__ import annotations

import re
from importlib import resources
from typing import Any

from trainyard.cluster import volumes
from trainyard.cluster.distributed import distributed
from trainyard.cluster.run import PodRun
from trainyard.domain.hyperparameters import as_text
from trainyard.domain.names import secret_name
from trainyard.domain.pipelines import suits_pipefail

LEARNER = "learner"  # the name of the container too
GPU = "nvidia.com/gpu"
USER = "trainyard"
# Between two looks of the wrapper at how busy the GPUs are.
GPU_SECONDS = "15"
TERMINATION_LOG = "/dev/termination-log"

# The wrapper runs under bash where the image has it: dash and busybox start a program deaf to SIGINT.
LAUNCHER = 'exec "$(command -v bash || echo sh)" -c "$@"'

# Kubernetes replaces `$(NAME)` and `$$` in commands and values. A `$` before anything but ASCII is doubled too, because
# its expansion would take the bytes of that character apart.
_EXPANDED = re.compile(r"\${2,}|\$(?=\(|[^\x00-\x7f])")


def command(run: PodRun) -> list[str]:
    """Return the container's command: the wrapper, passed whole, and its options."""
    options = ["pipefail"] if suits_pipefail(run.spec.command) else []
    return ["sh", "-c", escaped(LAUNCHER), LEARNER, escaped(learner_text()), LEARNER, *options]


def learner_text() -> str:
    """Return the wrapper's program text."""
    return resources.files("trainyard.cluster").joinpath("learner.sh").read_text(encoding="utf-8")


def environment(run: PodRun) -> list[dict[str, Any]]:
    """Return the container's environment; nothing in it is a secret, but the names of those that it finds."""
    plain = [{"name": name, "value": escaped(value)} for name, value in _variables(run).items()]
    return [*plain, *({"name": name, "valueFrom": _reference(run, name)} for name in run.spec.secrets)]


def escaped(text: str) -> str:
    """Write a text so that Kubernetes' own expansion of `$(NAME)` and `$$` gives it back unchanged."""
    return _EXPANDED.sub(lambda match: match[0] * 2, text)


def _reference(run: PodRun, name: str) -> dict[str, Any]:
    return {"secretKeyRef": {"name": secret_name(run.key), "key": name}}


def _variables(run: PodRun) -> dict[str, str]:
    return {
        # A sample of 2018 gives it to torch.distributed.launch; whoever has one of their own keeps it.
        **({"NUM_GPUS": str(run.plan.gpus)} if run.several else {}),
        **run.spec.env,
        **{name: as_text(value) for name, value in run.spec.hyperparameters.items()},
        "DATA_DIR": volumes.DATA,
        "MODEL_DIR": volumes.MODEL,
        "RESULT_DIR": volumes.RESULT,
        "LOG_DIR": volumes.LOGS,
        "JOB_STATE_DIR": volumes.STATE,
        "CHECKPOINT_DIR": volumes.CHECKPOINTS,
        **({"RESUME_FROM": f"{volumes.CHECKPOINTS}/{run.resume_from}"} if run.resume_from else {}),
        "TRAINING_ID": run.key.model_id,
        "TRAINING_COMMAND": run.spec.command,
        "GPU_COUNT": str(run.plan.gpus),
        "LEARNER_ID": str(run.learner),
        "NUM_LEARNERS": str(run.plan.learners),
        "LEARNER_NAME_PREFIX": run.prefix if run.several else LEARNER,
        "SUBID": _subid(run),
        "LEARNER_PYTHON": run.plan.interpreter,
        "TERMINATION_LOG": TERMINATION_LOG,
        "LEARNER_LOG_BYTES": str(run.log_bytes),
        "HOME": volumes.HOME,
        # No image knows the pod's user, whom getpass and others then ask the system for in vain.
        "USER": USER,
        "LOGNAME": USER,
        "PYTHONUNBUFFERED": "1",
        # Else its advert is the last line of a log that ends with a failed installation.
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        **_hidden_gpus(run.plan.gpus),
        **({"LEARNER_GPU_SECONDS": GPU_SECONDS} if run.watches_gpus and run.plan.gpus else {}),
        **({"TRAINYARD_ENVIRONMENT": volumes.ENVIRONMENT} if run.environment_subpath else {}),
        # The wrapper masks their values in all that the program writes.
        **({"TRAINYARD_SECRETS": " ".join(run.spec.secrets)} if run.spec.secrets else {}),
        **distributed(run),
    }


def _subid(run: PodRun) -> str:
    """Return the folder of the metrics in LOG_DIR: the trial's number, as in 2018; else the run is its own sub-run."""
    return f"{LEARNER}-{run.learner}" if run.trial is None else str(run.trial)


def _hidden_gpus(gpus: int) -> dict[str, str]:
    """Hide a node's GPUs from a run that asked for none: CUDA images name `all` of them, and some runtimes obey."""
    return {} if gpus else {"NVIDIA_VISIBLE_DEVICES": "void"}
