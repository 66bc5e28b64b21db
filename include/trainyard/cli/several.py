"""Doing the same with several runs: one that cannot be done keeps none of the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import typer

from trainyard.cli.output import Screen, remark
from trainyard.cli.report import error_lines
from trainyard.errors import TrainyardError


def do_each(ids: Sequence[str], action: Callable[[str], dict[str, Any]], screen: Screen) -> None:
    """Do something with each run, and write what it answers as JSON: of one run alone, else as `resources`.

    Raise what one run alone meets; of several each failure is reported on stderr, and the command ends with 1.
    """
    if len(ids) == 1:
        screen.data(action(ids[0]))
        return
    done, failed = list[dict[str, Any]](), list[dict[str, Any]]()
    for model_id in ids:
        try:
            done.append(action(model_id))
        except TrainyardError as error:
            failed.append({"model_id": model_id, "error": error.as_dict()})
            if not screen.json:
                remark(*error_lines(error))
    screen.data({"resources": done, "total": len(done), "failed": failed})
    if failed:
        raise typer.Exit(1)
