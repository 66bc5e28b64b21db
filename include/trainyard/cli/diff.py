"""`trainyard diff A B`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from trainyard.cli.completing import run_words
from trainyard.cli.options import Output, Url

if TYPE_CHECKING:
    from trainyard.answers.diffs import ChangedFile, ChangedValue, FileVersion, RunsDiff

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}
Paint = Callable[[str, str], str]


def diff(
    first: Annotated[
        str, typer.Argument(metavar="A", help="A run, by its id, a part of it, or its name.", autocompletion=run_words)
    ],
    second: Annotated[
        str, typer.Argument(metavar="B", help="The run that it is compared with.", autocompletion=run_words)
    ],
    url: Url = None,
    output: Output = "text",
) -> None:
    """Show what differs between two runs: hyperparameters, manifest, program, data, image, outcome and metrics."""
    import sys

    from trainyard.cli.client import open_service
    from trainyard.cli.naming import run_named
    from trainyard.cli.output import Screen, paint

    screen = Screen(output)
    with open_service(url) as service:
        found = service.diff(run_named(service, first), run_named(service, second))
    screen.say(*diff_lines(found, lambda text, colour: paint(text, colour, sys.stdout)))
    screen.data(found.as_data())


def diff_lines(found: RunsDiff, paint: Paint) -> Iterator[str]:
    """Yield what differs as text, without any character that steers a terminal but for colours."""
    if found.same:
        yield f"Nothing differs between {found.first} and {found.second}"
        return
    yield paint(f"--- {found.first}", "red")
    yield paint(f"+++ {found.second}", "green")
    yield from _values("Hyperparameters", found.hyperparameters)
    yield from _values("Made of", found.origin)
    yield from _values("Outcome", found.outcome)
    yield from _values("Metrics", found.metrics)
    if found.manifest:
        yield from ("", "Manifest", *_lines(found.manifest, paint))
    if found.files is None:
        yield from ("", "Program", "  It cannot be compared: a zip is not kept any more.")
    for file in found.files or ():
        yield from _file(file, paint)


def _values(title: str, changed: Sequence[ChangedValue]) -> Iterator[str]:
    if not changed:
        return
    yield from ("", title)
    for each in changed:
        yield f"  {_one_line(each.name)}: {_value(each.first)} -> {_value(each.second)}"


def _value(value: object) -> str:
    return "(none)" if value is None else _one_line(value)


def _file(file: ChangedFile, paint: Paint) -> Iterator[str]:
    yield from ("", f"Program: {_one_line(file.name)} ({_one_line(file.what)})")
    if file.lines:
        yield from _lines(file.lines, paint)
    else:
        yield f"  {_version(file.first)} -> {_version(file.second)}"


def _version(seen: FileVersion | None) -> str:
    if seen is None:
        return "(none)"
    return f"{seen.size} bytes" + (f", sha256 {_one_line(seen.sha256[:12])}" if seen.sha256 else "")


def _lines(lines: Sequence[str], paint: Paint) -> Iterator[str]:
    from trainyard.cli.output import printable

    for line in lines:
        # A line end within a line would begin another one that is not of the difference.
        yield paint(printable(line).replace("\n", "\\n"), _COLOURS.get(line[:1], ""))


def _one_line(value: object) -> str:
    from trainyard.cli.output import one_line

    return one_line(value)
