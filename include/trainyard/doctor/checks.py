"""The doctor's checks, put together from the service's own settings, database, workspace and cluster."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from threading import Event

from trainyard.airflow.app import App
from trainyard.airflow.pools import pool_sizes
from trainyard.doctor import airflow, judging
from trainyard.doctor.cluster import CONNECTION, DoctorCluster
from trainyard.doctor.examining import Check, examine
from trainyard.doctor.probe import IMAGE, WORKSPACE, Probe
from trainyard.doctor.probepod import images_of
from trainyard.domain.finding import Finding, fine, wrong
from trainyard.domain.limits import Limits
from trainyard.domain.training import Credentials
from trainyard.errors import TrainyardError
from trainyard.settings import Settings
from trainyard.stores.base import Store

WAIT_SECONDS = 120.0
_QUICK, _REMOTE = 20.0, 30.0
# What the probe takes besides waiting for its pod: making it, its word's way here, removing it.
_AROUND_SECONDS, _TIDY_SECONDS = 60.0, 30.0
_AT_ONCE = 4
_DATABASE = "Look whether the database answers (AIRFLOW__DATABASE__SQL_ALCHEMY_CONN)."


@dataclass(frozen=True)
class Wishes:
    """What to look at besides: a store (a URL as the inbox's) with its Airflow connection, and every image."""

    store: str = ""
    store_connection: str = ""
    every_image: bool = False
    wait_seconds: float = WAIT_SECONDS


def findings(wishes: Wishes, app: App) -> Generator[Finding, None, None]:
    """Look at everything side by side; yield a finding a line, the quick ones first. Nothing is fixed."""
    return examine(list(_checks(wishes, app)))


def _checks(wishes: Wishes, app: App) -> Iterator[Check]:
    settings, limits = app.settings, app.limits
    cluster = DoctorCluster(settings.kubernetes_connection, settings.namespace)
    yield _check("api-server", lambda: [airflow.door_finding("api-server")])
    yield _check("airflow", lambda: judging.parts(airflow.health()), _DATABASE)
    yield _check("pools", lambda: _pools(limits(), app), _DATABASE)
    yield _check("tenants", lambda: judging.tenants(limits(), on_cluster=bool(settings.workspace_volume)))
    yield _check("audit log", lambda: _audit(app))
    yield _check("notifications", lambda: _notifications(app))
    yield _check("fernet key", lambda: [airflow.fernet_finding("fernet key")], _DATABASE)
    yield _check("cluster", lambda: _greeting(cluster), CONNECTION, _REMOTE)
    yield _check("rights", lambda: rights_findings(cluster, settings.namespace), CONNECTION, _REMOTE)
    yield _check("clocks", lambda: _clocks(cluster), CONNECTION, _REMOTE)
    yield _check("gpus", lambda: judging.gpus(limits(), cluster.nodes()), CONNECTION, _REMOTE)
    yield _check(INBOX, lambda: [_inbox(settings)], seconds=_REMOTE)
    if wishes.store:
        yield _check(STORE, lambda: [_store(STORE, wishes.store, wishes.store_connection, settings)], seconds=_REMOTE)
    yield from _probes(wishes, app, cluster)


_RETRY_HINT = "Try again; then look at the network."


def _check(
    name: str,
    look: Callable[[], list[Finding]],
    hint: str = _RETRY_HINT,
    seconds: float = _QUICK,
) -> Check:
    return Check(name, lambda _: look(), seconds, hint=hint)


def _pools(limits: Limits, app: App) -> list[Finding]:
    wanted = pool_sizes(limits, app.settings)
    slots = {name: (size.slots, size.owns) for name, size in wanted.items()}
    return judging.pools(slots, airflow.pools_there(), unused=not app.catalogue.ids())


def _notifications(app: App) -> list[Finding]:
    dead, waiting = app.outbox.dead(), app.outbox.waiting()
    return judging.notifications([each.failure for each in dead], sum(1 for each in waiting if each.tries))


def _audit(app: App) -> list[Finding]:
    """Write an event: a disk that is full shows in nothing less."""
    writer, folder = app.audit_writer, app.audit_folder
    lost = writer.lost
    return judging.audit(str(folder or "standard output"), writer.check(), lost, writer.reason)


def _greeting(cluster: DoctorCluster) -> list[Finding]:
    greeting = cluster.greet()
    return [
        fine("cluster", f"Kubernetes {greeting.version} answers at {greeting.host} (connection {cluster.connection})")
    ]


def rights_findings(cluster: DoctorCluster, namespace: str) -> list[Finding]:
    """Return whether the service's user of the cluster may do all that its process does there."""
    from trainyard.cluster.rights import EXEC_RIGHTS, SECRET_RIGHTS, SERVICE_RIGHTS, verbs_of

    user = cluster.user()
    verbs, who = verbs_of(user), user or "the service's user"
    found = judging.rights(namespace, who, cluster.refused(verbs), verbs)
    for resource, rights, losing in (
        ("secrets", SECRET_RIGHTS, "runs whose manifest names secrets"),
        ("services", SERVICE_RIGHTS, "runs of several learners"),
        ("pods/exec", EXEC_RIGHTS, "commands of `trainyard exec`"),
    ):
        lacking = cluster.refused(verbs_of(user, rights), resource)
        found += judging.further_rights(namespace, who, lacking, resource, losing)
    return found


def _clocks(cluster: DoctorCluster) -> list[Finding]:
    skews = {"database": airflow.database_skew()}
    ahead = cluster.greet().skew
    return judging.clocks(skews if ahead is None else {**skews, "cluster": ahead})


def _inbox(settings: Settings) -> Finding:
    if not settings.inbox:
        return fine(INBOX, "none is watched (TRAINYARD_INBOX is empty)")
    return _store(INBOX, settings.inbox, settings.inbox_connection, settings)


def _store(check: str, url: str, connection: str, settings: Settings) -> Finding:
    from trainyard.inbox.place import open_inbox

    credentials = airflow.credentials(connection) if connection else Credentials("", "")
    return store_finding(check, lambda: open_inbox(url, credentials, settings))


def _probes(wishes: Wishes, app: App, cluster: DoctorCluster) -> Iterator[Check]:
    """Yield the probe of image and workspace, and those of the other images, a few of which are tried at once."""

    def probe() -> Probe:
        return Probe(cluster, app.workspace, app.limits(), app.settings, wishes.wait_seconds)

    def first(stop: Event) -> list[Finding]:
        return probe().whole(images_of(app.limits())[0], stop)

    def others(share: int, stop: Event) -> Iterator[Finding]:
        for image in images_of(app.limits())[1 + share :: _AT_ONCE]:
            if not stop.is_set():
                yield from probe().image(image, stop)

    seconds = wishes.wait_seconds + _AROUND_SECONDS
    yield Check(WORKSPACE, first, seconds, _TIDY_SECONDS, CONNECTION)
    for share in range(_AT_ONCE if wishes.every_image else 0):
        rounds = math.ceil(_image_count(app) / _AT_ONCE)
        yield Check(IMAGE, partial(others, share), rounds * seconds, _TIDY_SECONDS, CONNECTION)


def _image_count(app: App) -> int:
    """Return how many images there are; files that cannot be read are reported by the checks."""
    try:
        return len(images_of(app.limits()))
    except TrainyardError:
        return 1


INBOX, STORE = "inbox", "store"


def store_finding(check: str, opened: Callable[[], Store]) -> Finding:
    """Open the store and list it as far as its first object. Messages of stores hold no secrets."""
    try:
        store = opened()
        next(iter(store.list()), None)
    except TrainyardError as error:
        return wrong(check, error.message, error.hint)
    return fine(check, f"{store.place} lets the service in")
