"""What each of Airflow's processes may have to do with pods and secrets: what a test has recorded, the roles allow."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

STEPS, TRIGGERER, API_SERVER = "steps", "triggerer", "api-server"
RIGHTS = {
    STEPS: ("create", "delete", "get", "list"),
    TRIGGERER: ("delete", "get", "watch"),
    API_SERVER: ("list",),
}
# The same for the services by which several learners find one another.
SERVICE_RIGHTS: dict[str, tuple[str, ...]] = {STEPS: ("create", "delete", "list"), TRIGGERER: (), API_SERVER: ()}
# Commands in running programs: a websocket is a GET, and Kubernetes 1.35 asks for `create` beside it.
EXEC_RIGHTS = {API_SERVER: ("create", "get")}
# What the steps do with the Secret of a run. Nobody reads one, or lists them.
SECRET_RIGHTS = {STEPS: ("create", "delete")}
# How the service accounts end that Airflow's chart gives its processes.
_ACCOUNTS = {
    "-scheduler": STEPS,
    "-worker": STEPS,
    "-triggerer": TRIGGERER,
    "-api-server": API_SERVER,
}


def verbs_of(user: str, rights: Mapping[str, tuple[str, ...]] = MappingProxyType(RIGHTS)) -> tuple[str, ...]:
    """Return the verbs that a user of the cluster needs: those of its process, or all where one user is all of them.

    They are those on pods, or of `SECRET_RIGHTS` and `SERVICE_RIGHTS` those on secrets and services.
    """
    for ending, process in _ACCOUNTS.items():
        if user.startswith("system:serviceaccount:") and user.endswith(ending):
            return rights.get(process, ())
    return tuple(sorted({verb for verbs in rights.values() for verb in verbs}))
