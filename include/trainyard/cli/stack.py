"""`trainyard up`, `down`, `status`: the one-machine stack."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from trainyard.cli.options import Output

Folder = Annotated[
    str, typer.Option("--folder", metavar="DIR", help="Where the stack keeps its state, logs and objects.")
]
Nodes = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=100,
        metavar="N",
        help="Let the local cluster simulate N nodes, each with its part of the GPUs. Before: TRAINYARD_LOCAL_NODES.",
    ),
]
_FOLDER = ".trainyard"
_NO_SANDBOX = (
    "Trainings run as you, with your rights: this is no sandbox. Run only what you would run yourself at a prompt;"
    " docs/local-cluster.md says what is held back and what is not."
)


_NEXT = (
    "trainyard init first                              # a small program, and a manifest that runs here",
    "trainyard train first first/manifest.yml --follow",
    "trainyard list",
)


def up(folder: Folder = _FOLDER, nodes: Nodes = None, output: Output = "text") -> None:
    """Start the one-machine stack: object store, cluster and Airflow. What runs already is left alone."""
    from trainyard.cli.output import Screen

    screen, stack = Screen(output), _stack(folder)
    if nodes is not None:
        from trainyard.local.parts import NODES

        # The supervisor starts the cluster again, and has this environment then.
        os.environ[NODES] = str(nodes)
    stack.up(lambda line: screen.say(line))
    rows = stack.status()
    address = rows["api-server"]["address"]
    _keep_stores(stack.folder, rows["object store"]["address"])
    screen.say(f"Trainings are shown at {address}/trainyard/, Airflow is at {address}: user admin,")
    screen.say(f"password in {folder}/client.json.")
    screen.say(
        f"{folder}/object-keys.json has a key of the object store for each account; the one in secrets.json opens all."
    )
    screen.say(_NO_SANDBOX)
    screen.say("", "Next:", *(f"  {command}" for command in _NEXT))
    screen.data(rows)


def down(folder: Folder = _FOLDER, output: Output = "text") -> None:
    """Stop the one-machine stack and every training on it. Its state stays: `trainyard up` goes on from there."""
    from trainyard.cli.output import Screen

    screen = Screen(output)
    ended = _stack(folder).down(lambda line: screen.say(line))
    screen.say(f"{ended} processes ended")
    screen.data({"ended": ended})


def status(folder: Folder = _FOLDER, output: Output = "text") -> None:
    """Say what of the one-machine stack runs, and where. Exit with 1 unless all of it does."""
    from trainyard.cli.columns import columns
    from trainyard.cli.output import Screen

    screen, rows = Screen(output), _stack(folder).status()
    table = [
        (name, row["state"], str(row["pid"] or ""), row["address"], str(row["restarts"]), _last_exit(row))
        for name, row in rows.items()
    ]
    screen.say(*columns(("Part", "State", "Pid", "Address", "Restarts", "Last exit"), table))
    screen.data(rows)
    if any(row["state"] == "down" for row in rows.values()):
        raise typer.Exit(1)


def _last_exit(row: dict[str, Any]) -> str:
    """Say when and how a part last ended, and what keeps it from being started again."""
    last = row["last_exit"]
    how = "" if last is None else last["at"] if last["exit_code"] is None else f"{last['at']} with {last['exit_code']}"
    return ", ".join(filter(None, (how, row["hindrance"])))


def _keep_stores(folder: Path, endpoint: str) -> None:
    from trainyard.local.ownstores import keep_local_stores

    keep_local_stores(folder, endpoint)


def _stack(folder: str) -> Any:
    """Open the stack; it needs Airflow's side of the installation, which the command line alone does not have."""
    from trainyard.errors import TrainyardError

    try:
        from trainyard.local.stack import Stack
    except ImportError as error:
        hint = "Run it from a checkout after `make setup`."
        raise TrainyardError("S500", f"the one-machine stack is not installed: {error.name} is missing", hint) from None
    return Stack(Path(folder))
