"""`trainyard list [trained-models]`, `trainyard list frameworks`, and what is stored for experiments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainyard.cli.completing import experiment_words, state_words
from trainyard.cli.options import DEFINITIONS, DOCUMENT_NOUNS, EXPERIMENT_RUNS, EXPERIMENTS, NOUNS, Output, Url

if TYPE_CHECKING:
    from trainyard.cli.output import Screen
    from trainyard.client.rest import RestClient

_FRAMEWORKS = "frameworks"
# What can be listed, and how many ids may follow it.
_KINDS: dict[str, tuple[int, ...]] = {
    NOUNS[0]: (0,),
    NOUNS[1]: (0, 2),
    **dict.fromkeys((_FRAMEWORKS, EXPERIMENTS, DEFINITIONS), (0,)),
    EXPERIMENT_RUNS: (1,),
}
_USAGE = {
    NOUNS[1]: f"`trainyard list {NOUNS[1]} EXPERIMENT RUN`, or no id for all runs",
    EXPERIMENT_RUNS: f"`trainyard list {EXPERIMENT_RUNS} EXPERIMENT`",
}


def list_(
    what: Annotated[
        str,
        typer.Argument(
            metavar=f"{NOUNS[0]}|{_FRAMEWORKS}|{EXPERIMENTS}|{DEFINITIONS}|{EXPERIMENT_RUNS}",
            help="What to list.",
            show_default=False,
        ),
    ] = "",
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID", help="The experiment of experiment-runs; experiment and run of training-runs."),
    ] = None,
    state: Annotated[
        str | None,
        typer.Option(
            metavar="STATE,...",
            help="Only runs in one of these states.",
            show_default=False,
            autocompletion=state_words,
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Only runs with this in their name.", show_default=False)
    ] = None,
    experiment: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Only runs of this experiment.", show_default=False, autocompletion=experiment_words
        ),
    ] = None,
    framework: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only runs on this framework: tensorflow, or 'tensorflow 1.2-py3'."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Only runs submitted since then: 30m, 12h, 7d, or a date and time in UTC."),
    ] = None,
    limit: Annotated[str | None, typer.Option(metavar="N", help="Only the newest N.", show_default=False)] = None,
    sort: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Order by a column; after - the highest first.", show_default=False),
    ] = None,
    shown: Annotated[
        str | None,
        typer.Option(
            "--columns", metavar="COLUMN,...", help="Show these; also hyperparameters and metrics.", show_default=False
        ),
    ] = None,
    deleted: Annotated[
        bool, typer.Option("--deleted", help="The runs that are deleted and can be brought back, and until when.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on and show what changes, until Ctrl-C.")] = False,
    url: Url = None,
    output: Output = "text",
) -> None:
    """List the runs, the newest first, the frameworks there are, or what is stored.

    experiment-runs EXPERIMENT are the runs of a stored experiment, training-runs EXPERIMENT RUN the trainings of one.

    Hyperparameters that differ and metrics have columns; what does not fit the terminal is left out. The columns are
    name, id, state, owner, experiment, duration, gpus, account, framework, phase, submitted and age. With
    trained-models the table is that of 2017, the newest last.
    """
    from trainyard.cli.client import open_service
    from trainyard.cli.filters import filters
    from trainyard.cli.options import whole_number
    from trainyard.cli.output import Screen
    from trainyard.client.errors import WrongUsageError

    screen = Screen(output)
    if what not in (*_KINDS, ""):
        raise WrongUsageError(f"there is no list of {what!r}", f"Use one of {', '.join(_KINDS)}.")
    wanted, most = filters(state, name, experiment, framework, since), whole_number("--limit", limit)
    if deleted:
        wanted["deleted"] = "true"
    chosen = deleted or sort is not None or shown is not None
    whole = what in (_FRAMEWORKS, *DOCUMENT_NOUNS) or bool(ids)
    if whole and (wanted or watch or chosen or most is not None):
        raise WrongUsageError(f"{what} are always listed whole", "Leave the filters and --watch out.")
    counts = _KINDS.get(what, (0,))
    if len(ids or []) not in counts:
        raise WrongUsageError(f"list {what} does not take {len(ids or [])} ids", f"Use {_USAGE.get(what, 'none')}.")
    with open_service(url) as service:
        if what in DOCUMENT_NOUNS or ids:
            _list_stored(service, screen, what, ids or [])
        elif what == _FRAMEWORKS:
            _list_frameworks(service, screen)
        elif watch:
            _watch(service, screen, wanted, most)
        elif what and not chosen:
            _list_runs(service, screen, wanted, most)
        else:
            _compare_runs(screen, _runs(service, wanted, most), sort, shown)


def _list_stored(service: RestClient, screen: Screen, what: str, ids: list[str]) -> None:
    from trainyard.cli.documents import list_documents, list_experiment_runs, list_trainings

    if what == EXPERIMENT_RUNS:
        list_experiment_runs(service, screen, ids[0])
    elif ids:
        list_trainings(service, screen, *ids)
    else:
        list_documents(service, screen, what)


def _list_runs(service: RestClient, screen: Screen, wanted: dict[str, Any], most: int | None) -> None:
    from trainyard.cli.tables import run_table

    screen.say("Fetching the list of trained models ...")
    runs = _runs(service, wanted, most)
    screen.say(*run_table(runs, screen.state), "", f"{len(runs)} records found.", "OK")
    screen.say("List all trained-models successful")
    screen.data({"resources": runs, "total": len(runs)})


def _compare_runs(screen: Screen, runs: list[dict[str, Any]], sort: str | None, shown: str | None) -> None:
    from datetime import UTC, datetime

    from trainyard.cli.output import terminal_width
    from trainyard.cli.runtable import fitted_table, run_columns, sorted_runs

    now = datetime.now(UTC)
    ordered = sorted_runs(runs, sort, now)
    screen.say("Fetching the list of trained models ...")
    screen.say(*fitted_table(ordered, run_columns(ordered, shown, now), screen.state, terminal_width()))
    screen.say("", f"{len(runs)} records found.", "OK", "List all trained-models successful")
    # Programs that read the list know it with the newest last.
    screen.data({"resources": runs if sort is None else ordered, "total": len(runs)})


def _runs(service: RestClient, wanted: dict[str, Any], most: int | None) -> list[dict[str, Any]]:
    return [run.as_data() for run in service.runs(wanted, most)]


def _watch(service: RestClient, screen: Screen, wanted: dict[str, Any], most: int | None) -> None:
    import sys

    from trainyard.cli.watch import watch_changes, watch_table

    if screen.json or not sys.stdout.isatty():
        watch_changes(lambda: _runs(service, wanted, most), screen)
    else:
        watch_table(lambda: _runs(service, wanted, most), screen)


def _list_frameworks(service: RestClient, screen: Screen) -> None:
    from trainyard.cli.tables import framework_table

    screen.say("Fetching the list of frameworks ...")
    found = [row.as_data() for row in service.frameworks()]
    screen.say(*framework_table(found), "", f"{len(found)} records found.", "OK")
    screen.say("List all frameworks successful")
    screen.data({"resources": found, "total": len(found)})
