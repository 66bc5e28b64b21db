"""The cluster under test: one that the environment names, or a local one that is started for the tests."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_CLAIM = "claim:"
_PATIENCE_SECONDS = 600.0  # a cluster may have to pull the image, or to start a node
_LOCAL_PATIENCE_SECONDS = 120.0
_LOCAL_GPUS = "2"
_LOCAL_LAG = "1"  # as a kubelet's, so that the service meets pods between their containers' end and their own


@dataclass(frozen=True)
class Target:
    """How the cluster is reached, what its pods run in, and what they see as workspace: `claim:NAME` or a folder."""

    kubeconfig: Path
    workspace: str
    namespace: str = "default"
    image: str = "python:3.11-slim"
    patience: float = _PATIENCE_SECONDS


@contextmanager
def cluster_under_test(environ: Mapping[str, str], folder: Path) -> Iterator[Target]:
    """Give the cluster that the environment names, else a local one over this folder, stopped at the end with its pods.

    Raise ValueError where what is said of the cluster is not enough.
    """
    if named := named_target(environ):
        yield named
        return
    from localkubeserver import running_cluster

    workspace = folder / "workspace"
    workspace.mkdir()
    with running_cluster(folder / "cluster", "--gpus", _LOCAL_GPUS, "--phase-lag", _LOCAL_LAG) as server:
        yield Target(server.kubeconfig, str(workspace), patience=_LOCAL_PATIENCE_SECONDS)


def named_target(environ: Mapping[str, str]) -> Target | None:
    """Read the cluster from CLUSTER_KUBECONFIG, …_WORKSPACE, …_NAMESPACE and …_IMAGE; None where none of them is set.

    The usual KUBECONFIG does not count: nobody's cluster is to be tested because a shell happens to name it.
    Raise ValueError where something is missing.
    """
    names = ("kubeconfig", "workspace", "namespace", "image")
    given = {name: word for name in names if (word := environ.get(f"CLUSTER_{name.upper()}"))}
    if not given:
        return None
    if "kubeconfig" not in given:
        raise ValueError(f"which cluster is meant? Give KUBECONFIG beside {', '.join(given).upper()}")
    if "workspace" not in given:
        raise ValueError("the pods need a workspace: give WORKSPACE=/folder/of/the/nodes or WORKSPACE=name-of-a-claim")
    kubeconfig = Path(given.pop("kubeconfig")).expanduser().resolve()
    if not kubeconfig.is_file():
        raise ValueError(f"there is no kubeconfig {kubeconfig}")
    return Target(kubeconfig, workspace_volume(given.pop("workspace")), **given)


def workspace_volume(workspace: str) -> str:
    """Return a folder or the name of a claim as the setting TRAINYARD_WORKSPACE_VOLUME takes it."""
    return workspace if workspace.startswith(("/", _CLAIM)) else _CLAIM + workspace


def settings_of(target: Target, folder: Path) -> dict[str, str]:
    """Return the environment of the service under test; what else the caller's says of TRAINYARD_… holds too."""
    cluster = {"kube_config_path": str(target.kubeconfig), "namespace": target.namespace}
    ours = {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(Path(__file__).resolve().parents[2] / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__FERNET_KEY": "dGhlIHRlc3RzIG93biBrZXksIDMyIGJ5dGVzIGxvbmc=",
        "AIRFLOW__API_AUTH__JWT_SECRET": "the tests own " * 5,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/airflow.db",
        "AIRFLOW_CONN_KUBERNETES_DEFAULT": json.dumps({"conn_type": "kubernetes", "extra": cluster}),
        "TRAINYARD_KUBERNETES_CONNECTION": "kubernetes_default",
        "TRAINYARD_NAMESPACE": target.namespace,
        "TRAINYARD_WORKSPACE": str(folder / "workspace"),
        "TRAINYARD_WORKSPACE_VOLUME": target.workspace,
        "TRAINYARD_POD_POLL_SECONDS": "2",
        "TRAINYARD_GRACE_SECONDS": "5",
        "TRAINYARD_IMAGE_TIMEOUT_SECONDS": "20",
        "TRAINYARD_API_OUTAGE_SECONDS": "60",
    }
    theirs = {name: value for name, value in os.environ.items() if name != "KUBECONFIG" and "AIRFLOW" not in name}
    return {**theirs, **ours}
