"""`trainyard tensorboard ID…`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from trainyard.cli.completing import run_words
from trainyard.cli.options import Url

if TYPE_CHECKING:
    from pathlib import Path

    from trainyard.client.rest import RestClient

_PORT = "6006"
_MAX_RUNS = 50


def tensorboard(
    model_ids: Annotated[
        list[str], typer.Argument(metavar="ID", help="The model ids of runs.", autocompletion=run_words)
    ],
    port: Annotated[str, typer.Option(metavar="N", help="Where on this machine to serve it.")] = _PORT,
    folder: Annotated[
        str | None,
        typer.Option("--dir", metavar="DIR", help="Keep the summaries there.", show_default=False),
    ] = None,
    url: Url = None,
) -> None:
    """Serve the TensorBoard summaries of runs with a real TensorBoard, until Ctrl-C.

    Those of runs that are going are shown as their programs write them, some seconds later.
    TensorBoard is installed by pip the first time, into an environment of its own.
    """
    import tempfile
    from pathlib import Path

    from trainyard.cli.client import open_service
    from trainyard.cli.livesummaries import LiveSummaries, following
    from trainyard.cli.naming import runs_named
    from trainyard.cli.options import whole_number
    from trainyard.cli.output import remark
    from trainyard.cli.tensorboardenv import installed, serve
    from trainyard.client.errors import WrongUsageError

    number = whole_number("--port", port) or 0
    if not 0 < number < 65536:
        raise WrongUsageError(f"--port cannot be {port!r}", "Give a number from 1 to 65535.")
    if len(set(model_ids)) > _MAX_RUNS:
        raise WrongUsageError(f"more than {_MAX_RUNS} runs are given", "Name fewer.")
    with tempfile.TemporaryDirectory(prefix="trainyard-tensorboard-") as temporary:
        place = Path(folder or temporary)
        with open_service(url) as service:
            named = runs_named(service, model_ids)
            going = [model_id for model_id in named if not service.run(model_id).ended]
            for model_id in (each for each in named if each not in going):
                count = _fetch(service, model_id, place)
                remark(f"{count} files of {model_id} are in {place / model_id}")
            with following(LiveSummaries(service, going, place, remark)):
                serve(installed(remark), place, number)


def _fetch(service: RestClient, model_id: str, place: Path) -> int:
    """Fetch a run's event files and return how many; raise C107 where it has stored none."""
    from trainyard.client.download import Target, fetch_all
    from trainyard.errors import TrainyardError

    files = fetch_all(service, model_id, Target(place / model_id), False, only=_is_summary)
    if not files:
        hint = "Programs write them to $LOG_DIR/tb; `trainyard metrics ID` shows what else they have reported."
        raise TrainyardError("C107", f"{model_id} has stored no TensorBoard summaries", hint)
    return len(files)


def _is_summary(name: str) -> bool:
    return "tfevents" in name.rpartition("/")[2]
