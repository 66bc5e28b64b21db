"""`trainyard experiments …` and `best`: how a search goes, its best trial, and what people ask of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from trainyard.cli.completing import experiment_words
from trainyard.cli.options import Output, QuickCommand, QuickGroup, Url, opened

if TYPE_CHECKING:
    from collections.abc import Callable

    from trainyard.answers.searches import SearchAnswer
    from trainyard.client.rest import RestClient

    pass

_DOING = {"Pause": "Pausing", "Resume": "Resuming", "Cancel": "Ending", "Extend": "Extending"}
Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="The experiment, or the model id of any run of the search.",
        autocompletion=experiment_words,
    ),
]
experiments = typer.Typer(
    cls=QuickGroup,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Run stored experiments; show searches, and pause, resume, end or extend them.",
)


@experiments.command("show", cls=QuickCommand)
def show_search(
    name: Name,
    top: Annotated[
        str | None, typer.Option(metavar="N", help="How many of the best trials are shown. Default: 10.")
    ] = None,
    url: Url = None,
    output: Output = "text",
) -> None:
    """Show how a search goes: its best trials, what matters, GPU hours, and the time that is left."""
    from trainyard.cli.client import open_service
    from trainyard.cli.options import whole_number
    from trainyard.cli.output import Screen
    from trainyard.cli.searchtext import search_lines

    screen, count = Screen(output), whole_number("--top", top)
    with open_service(url) as service:
        screen.say(f"Fetching the search '{name}' ...")
        found = service.search(name).as_data()
    screen.say(*search_lines(found, 10 if count is None else count), "OK", "Show search successful")
    screen.data(found)


@experiments.command("pause", cls=QuickCommand)
def pause_search(name: Name, url: Url = None, output: Output = "text") -> None:
    """Pause a search: no trial is started until it is resumed. Those that go on are left alone."""
    _change("Pause", name, url, output, lambda service: service.change_search(name, "paused"))


@experiments.command("resume", cls=QuickCommand)
def resume_search(name: Name, url: Url = None, output: Output = "text") -> None:
    """Go on with a search that was paused."""
    _change("Resume", name, url, output, lambda service: service.change_search(name, "running"))


@experiments.command("cancel", cls=QuickCommand)
def cancel_search(name: Name, url: Url = None, output: Output = "text") -> None:
    """End a search: trials that wait are canceled, programs that run are ended, and what they have made is stored."""
    _change("Cancel", name, url, output, lambda service: service.change_search(name, "canceled"))


@experiments.command("extend", cls=QuickCommand)
def extend_search(
    name: Name,
    trials: Annotated[str, typer.Option("--trials", metavar="+N", help="How many trials more, such as +20.")],
    url: Url = None,
    output: Output = "text",
) -> None:
    """Give a search more trials, also one that is over."""
    from trainyard.cli.options import whole_number

    count = whole_number("--trials", trials.removeprefix("+")) or 0
    _change("Extend", name, url, output, lambda service: service.extend_search(name, count))


def best(name: Name, url: Url = None, output: Output = "text") -> None:
    """Print the model id of a search's best trial; `NAME@best` stands for it in other commands."""
    from trainyard.client.naming import best_of

    with opened(url, output) as (service, screen):
        model_id = best_of(service, name)
    screen.say(model_id)
    screen.data({"model_id": model_id})


def _change(verb: str, name: str, url: str | None, output: str, change: Callable[[RestClient], SearchAnswer]) -> None:
    from trainyard.cli.columns import pairs

    with opened(url, output) as (service, screen):
        screen.say(f"{_DOING[verb]} the search '{name}' ...")
        found = change(service).as_data()
    rows = [("State", str(found["state"])), ("Trials", f"{len(found['trials'])} of {found['total']}")]
    screen.say(*pairs(rows), "OK", f"{verb} search successful")
    screen.data(found)
