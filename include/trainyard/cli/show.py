"""`trainyard show [trained-models] ID`."""

from __future__ import annotations

from trainyard.cli.options import ModelIds, Output, Url


def show(model_ids: ModelIds, url: Url = None, output: Output = "text") -> None:
    """Show runs; of one that failed, also the reason and the hint. The last line is the address of its page."""
    from trainyard.cli.client import open_service
    from trainyard.cli.naming import runs_named
    from trainyard.cli.output import Screen
    from trainyard.cli.tables import run_rows

    screen, runs = Screen(output), []
    with open_service(url) as service:
        for model_id in runs_named(service, model_ids):
            screen.say(f"Fetching the trained model details with MODEL-ID '{model_id}' ...")
            found = service.run(model_id)
            run = {**found.as_data(), "page": f"{service.url}/trainyard/runs/{found.model_id}"}
            screen.say(*run_rows(run, screen.state), "OK", "Show trained-models details successful")
            screen.say(f"The run's page is {run['page']}")
            runs.append(run)
    screen.data(runs[0] if len(runs) == 1 else {"resources": runs, "total": len(runs)})
