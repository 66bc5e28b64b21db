"""`python -m trainyard.airflow.checkpointcopy`: copy the newest complete checkpoint of a run that trains, then end.

A process of its own: bytes are moved and stores are waited for where no other run's trigger has to wait with them. The
connection of the store comes through stdin, so that no secret is in arguments or environment.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from trainyard.airflow.app import current_app
from trainyard.airflow.connections import open_given
from trainyard.airflow.threads import in_thread
from trainyard.domain.names import RunKey, results_connection
from trainyard.errors import TrainyardError
from trainyard.steps.checkpoints import copy_newest
from trainyard.stores.moving.values import Terms

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

_FIELDS = ("conn_id", "conn_type", "host", "schema", "login", "password", "port", "extra")
# In a trigger's process Airflow puts an address here that its models do not even load with; none is needed to copy.
_NO_DATABASE = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite://"}
_NICE = 10
_MAX_WORD = 400


async def copy_repeatedly(run: RunKey | None, log: Logger) -> None:
    """Copy the newest complete checkpoint to the bucket from time to time, where the manifest asks for it."""
    every = 0.0
    with suppress(TrainyardError):  # a triggerer without the service's settings still waits for pods
        training = await in_thread(current_app().catalogue.get, run.training_id) if run else None
        every = training.spec.checkpoint.every_seconds if training else 0.0
    while run is not None and every:
        await asyncio.sleep(every)
        try:
            if words := await copy_in_process(run):
                log.info(words)
        except Exception as error:  # noqa: BLE001 - the run goes on, and the next copy may work
            log.warning("No checkpoint is copied: %s", type(error).__name__)


async def copy_in_process(run: RunKey) -> str:
    """Copy a run's newest complete checkpoint in a process that ends with its caller; return what it says of that.

    It is empty where nothing was to be copied.
    """
    from airflow.sdk import BaseHook

    training = current_app().catalogue.get(run.training_id)
    if training is None:
        return ""
    connection = await BaseHook.aget_connection(training.spec.results.connection or results_connection(training.id))
    given = {"run": str(run), "connection": {name: getattr(connection, name) for name in _FIELDS}}
    pipes: dict[str, Any] = {
        "stdin": asyncio.subprocess.PIPE,
        "stdout": asyncio.subprocess.PIPE,
        "stderr": asyncio.subprocess.DEVNULL,
        "env": {**os.environ, **_NO_DATABASE},
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", __name__, **pipes)
    try:
        said, _ = await process.communicate(json.dumps(given).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    lines = said.decode(errors="replace").strip().splitlines()
    if not lines and process.returncode:
        return f"No checkpoint is copied: the process that copies ended with {process.returncode}"
    return lines[-1][:_MAX_WORD] if lines else ""


def main() -> int:
    """Copy what stdin says, and print one line of what came of it."""
    os.nice(_NICE)
    given: dict[str, Any] = json.load(sys.stdin)
    app, run = current_app(), RunKey.parse(given["run"])
    training = app.catalogue.get(run.training_id) if run else None
    if run is None or training is None:
        return 1
    try:
        app.check_connections(training)
        store = open_given(training.spec.results, given["connection"], app.settings)
        threads, terms = app.settings.transfer_threads, Terms.of(app.settings)
        name = copy_newest(run, training.spec, store, app.workspace, threads, lambda _: None, terms)
    except (TrainyardError, OSError) as error:
        print(f"The newest checkpoint is not in the bucket: {error}")
        return 1
    if name:
        print(f"Checkpoint {name} is in the bucket.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
