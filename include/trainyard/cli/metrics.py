"""`trainyard metrics ID`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from trainyard.cli.options import ModelId, Url

if TYPE_CHECKING:
    from trainyard.answers.metrics import MetricsAnswer
    from trainyard.client.rest import RestClient

_OUTPUTS = ("text", "json", "csv")
# As many as a curve of a table shows, each with its lowest and its highest value.
_SPARK_POINTS = 64


def metrics(
    model_id: ModelId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")] = False,
    points: Annotated[
        str | None,
        typer.Option(metavar="N", help="The most points of a curve, with json and csv: 2000, or up to 10000."),
    ] = None,
    url: Url = None,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="text|json|csv", help="How the answer is written to stdout.")
    ] = "text",
) -> None:
    """Show a run's metrics: last and best values with a small curve each; with json and csv the points.

    With --follow what is new is written as it comes, and the whole once more at the end.
    """
    from trainyard.cli.client import open_service
    from trainyard.cli.naming import run_named
    from trainyard.cli.options import whole_number
    from trainyard.client.errors import WrongUsageError

    if output not in _OUTPUTS:
        raise WrongUsageError(f"there is no output {output!r}", "Use --output text, --output json or --output csv.")
    most = whole_number("--points", points)
    if most is not None and not 1 <= most <= 10_000:
        raise WrongUsageError(f"--points cannot be {most}", "Give a number from 1 to 10000.")
    with open_service(url) as service:
        model_id = run_named(service, model_id)
        if follow:
            _follow(service, model_id, output, most)
        else:
            _write(service.metrics(model_id, _SPARK_POINTS if output == "text" else most), output)


def _write(answer: MetricsAnswer, output: str) -> None:
    from trainyard.cli.metrictext import csv_rows, metric_table
    from trainyard.cli.output import Screen, warn

    if output == "csv":
        csv_rows(answer, header=True)
        return
    screen = Screen(output)
    screen.data(answer.as_data())
    screen.say(*metric_table(answer))
    if not screen.json:
        warn(*answer.warnings)


def _follow(service: RestClient, model_id: str, output: str, most: int | None) -> None:
    import json
    import sys

    from trainyard.cli.metrictext import csv_rows, news_line
    from trainyard.cli.output import Screen, escaped
    from trainyard.client.following import followed_metrics

    screen = Screen("json" if output == "json" else "text")
    for count, answer in enumerate(followed_metrics(service, model_id, _SPARK_POINTS if output == "text" else most)):
        if output == "csv":
            csv_rows(answer, header=count == 0)
        elif screen.json:
            sys.stdout.write(escaped(json.dumps(answer.as_data(), ensure_ascii=False)) + "\n")
        elif line := news_line(answer):
            screen.say(line)
        sys.stdout.flush()
    if output == "text":
        _write(service.metrics(model_id, _SPARK_POINTS), output)
