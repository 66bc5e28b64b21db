"""`trainyard show [trained-models] ID…`."""

from __future__ import annotations

from typing import Annotated

import typer

from trainyard.cli.options import Output, RunsOrDocument, Url


def show(
    words: RunsOrDocument,
    deleted: Annotated[bool, typer.Option("--deleted", help="Among the runs that are deleted.")] = False,
    url: Url = None,
    output: Output = "text",
) -> None:
    """Show runs; of one that failed, also the reason and the hint. The last line is the address of its page.

    `show experiments ID`, `show training-definitions ID` and `show experiment-runs EXPERIMENT RUN` show what is stored.
    """
    from trainyard.cli.client import open_service
    from trainyard.cli.documents import on_document, show_document
    from trainyard.cli.naming import runs_named
    from trainyard.cli.output import Screen, terminal_width
    from trainyard.cli.runrows import run_rows

    if on_document(words, show_document, url, output):
        return
    screen, runs = Screen(output), []
    with open_service(url) as service:
        for model_id in runs_named(service, words, deleted):
            screen.say(f"Fetching the trained model details with MODEL-ID '{model_id}' ...")
            found = service.run(model_id, deleted)
            run = {**found.as_data(), "page": f"{service.url}/trainyard/runs/{found.model_id}"}
            screen.say(*run_rows(run, screen.state, terminal_width()), "OK", "Show trained-models details successful")
            screen.say(f"The run's page is {run['page']}")
            runs.append(run)
    screen.data(runs[0] if len(runs) == 1 else {"resources": runs, "total": len(runs)})
