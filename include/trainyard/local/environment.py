"""The environment of Airflow's processes in the one-machine stack."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from secrets import token_urlsafe

from trainyard.errors import TrainyardError
from trainyard.local.external import connection_variable, external_connection
from trainyard.local.inbox import inbox_environment
from trainyard.local.secrets import Secrets

# The checkout: this stack runs from one, with dags/, plugins/ and config/ beside include/.
PROJECT = Path(__file__).resolve().parents[3]
USERS = "TRAINYARD_LOCAL_USERS"
STORES = "TRAINYARD_STORE_INTERNAL"
QUEUE = "TRAINYARD_KUEUE_QUEUE"
_USER = re.compile(r"[\w.@-]+")


def airflow_environment(folder: Path, port: int, secrets: Secrets, objects_port: int = 9000) -> dict[str, str]:
    """Return config/airflow.env plus this stack's paths, ports and secrets."""
    base = f"http://127.0.0.1:{port}"
    home = folder / "airflow"
    passwords = home / "passwords.json"
    home.mkdir(parents=True, exist_ok=True)
    users = keep_users(passwords, secrets.password, os.environ.get(USERS, ""))
    return {
        **read_env_file(PROJECT / "config" / "airflow.env"),
        "AIRFLOW_HOME": str(home),
        "PYTHONPATH": str(PROJECT / "config"),
        # Airflow's processes write their titles over their environments otherwise, and the mark of the stack with them.
        "SPT_NOENV": "1",
        # Each step is a new process, and would compile all its imports again where the shell wants no bytecode kept.
        "PYTHONDONTWRITEBYTECODE": "",
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        # Named although it is Airflow's default: another Airflow's, in the environment of who starts this, is not ours.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__FERNET_KEY": secrets.fernet_key,
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in users.items()),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{base}/execution/",
        "AIRFLOW__API__BASE_URL": base,
        "AIRFLOW__API__SECRET_KEY": secrets.jwt_secret,
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.jwt_secret,
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(_bundles(folder)),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(home / "bundles"),
        **_cluster(folder),
        "AIRFLOW_CONN_TRAINYARD_FRONT_DOOR": json.dumps(_front_door(base, secrets)),
        "TRAINYARD_CATALOGUE": str(folder / "catalogue"),
        "TRAINYARD_WORKSPACE": str(folder / "workspace"),
        # All else on this machine's inside is no store: Airflow and the cluster listen there too.
        STORES: ",".join(filter(None, (f"127.0.0.1:{objects_port}", os.environ.get(STORES, "")))),
        # Our executor, which knows when a SQLite database is written to, is all that an idle scheduler waits in.
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.01",
        **inbox_environment(folder / "objects"),
    }


def keep_users(passwords: Path, admins: str, members: str) -> dict[str, str]:
    """Give a password to the admin and to each member named (`ada,grace`); return all users there are with their roles.

    A member once named stays one at the next start.
    """
    known = json.loads(passwords.read_text()) if passwords.exists() else {}
    named = ("admin", *filter(None, map(str.strip, members.split(","))))
    for name in named:
        if not _USER.fullmatch(name):
            raise TrainyardError("S500", f"{USERS} names {name!r}", "Use letters, digits and . _ - @ in user names.")
        known.setdefault(name, admins if name == "admin" else token_urlsafe(12))
    Secrets.write(passwords, known)
    return {name: "admin" if name == "admin" else "user" for name in known}


def _front_door(base: str, secrets: Secrets) -> dict[str, object]:
    return {"conn_type": "http", "host": base, "login": "admin", "password": secrets.password}


def _bundles(folder: Path) -> list[dict[str, object]]:
    return [
        {
            "name": "dags-folder",
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {},
        },
        {
            "name": "trainings",
            "classpath": "trainyard.airflow.bundle.TrainingBundle",
            "kwargs": {"catalogue": str(folder / "catalogue"), "refresh_interval": 60},
        },
    ]


def _cluster(folder: Path) -> dict[str, str]:
    """Lead Airflow to the local cluster, unless the caller's environment names another one."""
    if external_connection(os.environ):
        return {}
    extra = {"kube_config_path": str(folder / "cluster" / "kubeconfig"), "namespace": "default"}
    variable = connection_variable(os.environ)
    # It places the pods of a group together, as Kueue would.
    queue = os.environ.get(QUEUE, "local")
    return {variable: json.dumps({"conn_type": "kubernetes", "extra": extra}), QUEUE: queue}


def read_env_file(path: Path) -> dict[str, str]:
    """Read a file of `NAME=value` lines; comments and empty lines are skipped."""
    lines = (line.strip() for line in path.read_text().splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}
