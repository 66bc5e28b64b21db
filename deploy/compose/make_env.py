"""Write what docker-compose.yaml reads: `make_env.py FILE [cpu|gpu]`. Needs Python alone, no `make setup`.

A file that is there is never written over. What it lacks, after an update of Trainyard, is named and left to a person.
"""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import sys
from pathlib import Path

_CLUSTERS = ("cpu", "gpu")
_NAME = re.compile(r"^([A-Z0-9_]+)=", re.MULTILINE)


def rows(cluster: str) -> list[tuple[str, str, str]]:
    """Return each variable's name, value and comment; every secret is a new one."""
    passwords = {name: secrets.token_urlsafe(15) for name in ("admin", "service")}
    return [
        ("COMPOSE_PROFILES", cluster, "the cluster that trains: cpu, or gpu with NVIDIA's toolkit here"),
        ("API_PORT", "8080", "port of the service and of Airflow's page on 127.0.0.1"),
        ("S3_PORT", "9000", "port of the object store on 127.0.0.1"),
        ("AIRFLOW_USERS", "admin:admin,service:admin", "who there is, and as what; members are `ada:user`"),
        ("AIRFLOW_PASSWORDS", f"'{json.dumps(passwords, separators=(',', ':'))}'", "a password for each of them"),
        ("SERVICE_PASSWORD", passwords["service"], "the one of `service`, as whom the service's own DAGs sign in"),
        ("AIRFLOW_FERNET_KEY", _fernet_key(), "encrypts credentials in the database; without it they are lost"),
        ("AIRFLOW_JWT_SECRET", secrets.token_hex(32), "signs tokens"),
        ("AIRFLOW_API_SECRET", secrets.token_hex(32), "signs sessions"),
        ("POSTGRES_PASSWORD", secrets.token_hex(20), "of the database; it cannot be changed here once that is there"),
        ("S3_ACCESS_KEY", f"trainyard-{secrets.token_hex(4)}", "key of the object store"),
        ("S3_SECRET_KEY", secrets.token_hex(20), "its secret"),
        ("K3S_TOKEN", secrets.token_hex(20), "with which nodes join the cluster"),
        ("GPU_PLUGIN_IMAGE", "nvidia/k8s-device-plugin:v0.17.4", "for gpu: where your registry has it"),
        ("TRAINYARD_INBOX", "", "URL of the watched bucket; empty watches none"),
    ]


def text(cluster: str) -> str:
    """Return the file."""
    return "".join(f"# {comment}\n{name}={value}\n" for name, value, comment in rows(cluster))


def missing(written: str) -> list[str]:
    """Return the names of the variables that a file lacks."""
    return [name for name, _, _ in rows("cpu") if name not in _NAME.findall(written)]


def main(arguments: list[str]) -> str:
    """Write the file unless it is there; return what to print. Exit where the arguments are wrong."""
    path, cluster = Path(arguments[0]), (arguments[1:] or ["cpu"])[0]
    if cluster not in _CLUSTERS:
        sys.exit(f"There is no cluster {cluster!r}; there are {' and '.join(_CLUSTERS)}.")
    try:
        with open(path, "x", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(text(cluster))
    except FileExistsError:
        lacking = missing(path.read_text())
        return f"{path} is kept as it is." + (f" It lacks {', '.join(lacking)}; add them." if lacking else "")
    return f"{path} is written; only you can read it."


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


if __name__ == "__main__":
    print(main(sys.argv[1:]))
