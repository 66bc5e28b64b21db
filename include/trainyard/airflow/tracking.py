"""Report runs that have ended to the MLflow server of their account or manifest, an Airflow connection."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from trainyard.airflow.app import App
from trainyard.airflow.outcomes import TRACKED
from trainyard.core.catalogue import Training
from trainyard.domain.addresses import split_url
from trainyard.domain.limits import connection_fault
from trainyard.domain.names import RunKey
from trainyard.domain.outcome import Outcome
from trainyard.domain.tracked import Tracked
from trainyard.errors import TrainyardError
from trainyard.settings import limits_files
from trainyard.tracking.server import Server, TrackingError

log = logging.getLogger(__name__)
TYPES = ("http", "generic")


def track_run(context: Any, app: App, run: RunKey, ended: Callable[[], Outcome]) -> bool:
    """Report to the run's MLflow server, if any, how it `ended`, while its metrics are here and its pods no longer.

    Nothing of it fails the step. Return False where that did not work and the step can be cleared to do it again.
    """
    try:
        training = app.catalogue.get(run.training_id)
        connection = _connection_of(app, training) if training else None
        if training is None or connection is None:
            return True
        tracked = _tracked(context, app, run, training, connection, ended())
        context["ti"].xcom_push(key=TRACKED, value=tracked.as_dict())
    except Exception as error:  # noqa: BLE001 - the run has ended, whether it is reported or not
        log.warning("The run is not reported to any MLflow server: %s", type(error).__name__)
        return False
    return not tracked.warning


def _tracked(context: Any, app: App, run: RunKey, training: Training, connection: str, ended: Outcome) -> Tracked:
    from trainyard.steps.stage import staged_version
    from trainyard.steps.track import track

    folder, training = app.workspace.run(run), _as_run(app, run, training, context)
    about = {
        "owner": app.catalogue.owner_of(run, training, context["dag_run"].triggering_user_name),
        "name": app.catalogue.as_named(run, training).spec.name,
        "account": training.account,
        "experiment": training.experiment,
        "data_version": staged_version(folder) or "",
        "zip_sha256": training.zip_sha256,
    }
    return track(
        connection=connection,
        open_server=partial(_server, app, training, connection),
        key=run,
        spec=training.spec,
        plan=training.plan,
        outcome=ended,
        about=about,
        workspace=app.workspace,
        report=log.info,
        seconds=app.settings.tracking_seconds,
    )


def _as_run(app: App, run: RunKey, training: Training, context: Any) -> Training:
    """Return the training as the run has it; as it is for values that no run can have, which is why it failed."""
    try:
        return training.of_run(app.catalogue.values_of(run, context["dag_run"].conf))
    except TrainyardError:
        return training


def _connection_of(app: App, training: Training) -> str | None:
    """Return the connection of the MLflow server that a training's runs are reported to; None where there is none."""
    if training.spec.mlflow is not None:
        return training.spec.mlflow or None
    # Most installations have none, and to read the three files costs a process 0.13 s.
    if b"tracking" not in limits_files(app.settings)[2].read_bytes():
        return None
    account = app.limits().accounts.get(training.account)
    return account.mlflow if account else None


def _server(app: App, training: Training, connection: str) -> Server:
    """Open a server; raise TrackingError where the account may not use it any more."""
    account = app.limits().accounts.get(training.account)
    if fault := connection_fault(connection, account.trackers if account else (), tracking=True):
        raise TrackingError(fault[0].rstrip("."))
    return open_tracking(connection, app.settings.ca_bundle)


def open_tracking(name: str, ca_bundle: str) -> Server:
    """Read a connection that whoever runs the service has made, inside a task: address, and login or token.

    Raise TrackingError where there is none, or it names no server.
    """
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException
    from airflow.sdk.log import mask_secret

    try:
        connection = BaseHook.get_connection(name)
    except AirflowNotFoundException:
        raise TrackingError("Airflow has no such connection") from None
    if connection.conn_type not in TYPES:
        # Keys of a store would be sent to its address as a password.
        raise TrackingError(f"the connection is of the type {connection.conn_type}, and has to be http or generic")
    if connection.password:
        mask_secret(connection.password)
    return Server(_url(connection), connection.login or "", connection.password or "", ca_bundle)


def _url(connection: Any) -> str:
    """Return where the server is; a host may have scheme and path, as Airflow's own hooks allow it."""
    host = connection.host or ""
    parts = split_url(host if "://" in host else f"{connection.schema or 'http'}://{host}")
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise TrackingError("the connection's host and schema are not the address of a server")
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = connection.port or parts.port
    return f"{parts.scheme}://{name}{f':{port}' if port else ''}{parts.path.rstrip('/')}"
