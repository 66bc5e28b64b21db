"""A Kubernetes cluster that the caller's environment names, in place of the local one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from trainyard.errors import TrainyardError
from trainyard.settings import read_settings

_ANSWER_SECONDS = 60


def connection_variable(environ: Mapping[str, str]) -> str:
    """Return the variable that holds Airflow's connection to the cluster that trains."""
    return f"AIRFLOW_CONN_{read_settings(environ).kubernetes_connection.upper()}"


def external_connection(environ: Mapping[str, str]) -> str:
    """Return the variable of the connection to a cluster of the caller's, empty where trainings run on ours."""
    variable = connection_variable(environ)
    return variable if environ.get(variable) else ""


class ExternalCluster:
    """Remembers in a stack's folder which cluster its parts were started for: by name, without credentials."""

    def __init__(self, folder: Path) -> None:
        self._mark = folder / "external-cluster"

    @property
    def variable(self) -> str:
        """The variable that named the cluster when the stack was started, empty for the local cluster."""
        return self._mark.read_text() if self._mark.exists() else ""

    def remember(self, variable: str, runs: bool) -> None:
        """Note the cluster; raise TrainyardError S500 where the stack `runs` and its trainings are on another one."""
        if runs and variable != self.variable:
            there = f"the cluster of {self.variable}" if self.variable else "the local cluster"
            hint = f"Run `trainyard down` first, or {'set' if self.variable else 'unset'} {self.variable or variable}."
            raise TrainyardError("S500", f"the stack runs, and its trainings are on {there}", hint)
        if variable:
            self._mark.write_text(variable)
        else:
            self._mark.unlink(missing_ok=True)


def pods_left(environment: Mapping[str, str]) -> list[str]:
    """Ask the cluster of a connection which training pods still run there; a line for each, or why it did not say."""
    command = [sys.executable, "-m", "trainyard.airflow.podsleft"]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_ANSWER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return [f"the cluster did not say within {_ANSWER_SECONDS} s which pods run on it"]
    if done.returncode:
        return [f"which pods run on the cluster is not known: {(done.stderr.strip().splitlines() or ['?'])[-1]}"]
    return done.stdout.splitlines()
