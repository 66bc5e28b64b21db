"""The options that several commands share, and commands that start quickly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from trainyard.cli.completing import run_words

if TYPE_CHECKING:
    from trainyard.cli.output import Screen
    from trainyard.client.rest import RestClient

NOUNS = ("trained-models", "training-runs")
DEFINITIONS, EXPERIMENTS, EXPERIMENT_RUNS = "training-definitions", "experiments", "experiment-runs"
DOCUMENT_NOUNS = (DEFINITIONS, EXPERIMENTS, EXPERIMENT_RUNS)

Url = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="The service to talk to. Default: see docs/cli.md."),
]
# Of what is kept for oneself or for an account.
Payer = Annotated[
    str | None, typer.Option("--account", metavar="NAME", help="The account whose it is. Default: your own.")
]
Output = Annotated[
    str, typer.Option("--output", "-o", metavar="text|json", help="How the answer is written to stdout.")
]
NAMES = "The model id or a part of it, a name, @last or EXPERIMENT@best."
ModelId = Annotated[str, typer.Argument(metavar="ID", help=NAMES, autocompletion=run_words)]

NAMES_OR_DOCUMENT = f"{NAMES} Or experiments ID, training-definitions ID, experiment-runs EXPERIMENT RUN."
RunsOrDocument = Annotated[list[str], typer.Argument(metavar="ID", help=NAMES_OR_DOCUMENT, autocompletion=run_words)]

TrainingId = Annotated[
    str,
    typer.Argument(
        metavar="ID", help="The id of the training, which is the model id of its first run.", autocompletion=run_words
    ),
]


@contextmanager
def opened(url: str | None, output: str) -> Iterator[tuple[RestClient, Screen]]:
    """Open the service that the options, the environment and the kept files name, and what shows its answers."""
    from trainyard.cli.client import open_service
    from trainyard.cli.output import Screen

    screen = Screen(output)
    with open_service(url) as service:
        yield service, screen


def whole_number(option: str, text: str | None) -> int | None:
    """Read the value of an option; raise WrongUsageError unless it is a whole number that is not negative."""
    from trainyard.client.errors import WrongUsageError

    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise WrongUsageError(f"{option} cannot be {text!r}", "Give a whole number, such as 20.")
    return int(text)


class _Plain:
    """Takes the text of a parameter as it is."""

    def coerce(self, value: Any, *_: Any, **__: Any) -> Any:
        return value


def _quick(params: list[Any]) -> list[Any]:
    """Spare typer from building pydantic validators for parameters that are mere text: 0.2 s at every start."""
    for param in params:
        descriptor = getattr(param, "type_descriptor", None)
        if descriptor is not None and descriptor.annotation in (str, bool):
            param.get_runtime_param = _Plain
    return params


class QuickCommand(TyperCommand):
    def get_params(self, ctx: Any) -> list[Any]:
        return _quick(super().get_params(ctx))


class QuickGroup(TyperGroup):
    """A group whose help shows the first sentence of each command, whole."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _quick(super().get_params(ctx))

    def sections(self, commands: Mapping[str, Any]) -> Mapping[str, Sequence[str]]:
        """Return titles with the names of the commands that are listed under each."""
        return {"Commands": list(commands)}

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        found = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        shown = {name: command for name, command in found.items() if command is not None and not command.hidden}
        for title, names in self.sections(shown).items():
            if names:
                with formatter.section(title):
                    formatter.write_dl([(name, _first_sentence(shown[name].help or "")) for name in names])


def _first_sentence(text: str) -> str:
    paragraph = " ".join(text.partition("\n\n")[0].split())
    return paragraph.partition(". ")[0].rstrip(".")


class RunCommand(QuickCommand):
    """A command on one run: `show trained-models ID` is `show ID`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, [arg for arg in args if arg not in NOUNS])

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        first, *rest = super().collect_usage_pieces(ctx)
        return [first, f"[{NOUNS[0]}]", *rest]
