"""The command `trainyard`: its commands, and how each way of failing ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException
from typer.main import get_command

from trainyard.cli.audit import audit
from trainyard.cli.cancel import cancel
from trainyard.cli.data import data
from trainyard.cli.datasets import datasets
from trainyard.cli.delete import delete
from trainyard.cli.doctor import doctor
from trainyard.cli.download import download
from trainyard.cli.execute import execute
from trainyard.cli.generate import generate_manifest
from trainyard.cli.list import list_
from trainyard.cli.login import login
from trainyard.cli.logs import logs
from trainyard.cli.metrics import metrics
from trainyard.cli.monitor import monitor
from trainyard.cli.notify import app as notify
from trainyard.cli.options import QuickCommand, RunCommand
from trainyard.cli.quota import quota
from trainyard.cli.rerun import rerun
from trainyard.cli.schedules import pause, resume, schedules, unschedule
from trainyard.cli.searches import best, experiments
from trainyard.cli.secrets import secret
from trainyard.cli.sections import SectionedGroup
from trainyard.cli.show import show
from trainyard.cli.stack import down, status, up
from trainyard.cli.starting import init
from trainyard.cli.store import run_experiment
from trainyard.cli.stores import store
from trainyard.cli.tensorboard import tensorboard
from trainyard.cli.train import train
from trainyard.cli.undelete import undelete
from trainyard.cli.validate import validate
from trainyard.cli.version import installed_version, version
from trainyard.errors import TrainyardError

_WRONG_USAGE = 2
# Plain help: typer's rich help alone would take 0.2 s of every start that shows it.
app = typer.Typer(
    cls=SectionedGroup,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def trainyard(
    context: typer.Context, show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False
) -> None:
    """Submit a manifest and a zip, get back a trained model."""
    if show_version:
        print(f"trainyard {installed_version()}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(_WRONG_USAGE)


# `--help` lists them in the sections of cli/sections.py.
app.command("init", cls=QuickCommand)(init)
app.command("train", cls=QuickCommand)(train)
app.command("rerun", cls=RunCommand)(rerun)
app.command("list", cls=QuickCommand)(list_)
app.command("show", cls=RunCommand)(show)
app.command("logs", cls=RunCommand)(logs)
app.command("metrics", cls=RunCommand)(metrics)
app.command("tensorboard", cls=QuickCommand)(tensorboard)
app.command("download", cls=RunCommand)(download)
app.command("exec", cls=QuickCommand)(execute)
app.command("cancel", cls=RunCommand)(cancel)
app.command("delete", cls=RunCommand)(delete)
app.command("undelete", cls=RunCommand)(undelete)
experiments.command("run", cls=QuickCommand)(run_experiment)
app.add_typer(experiments, name="experiments")
app.command("best", cls=QuickCommand)(best)
app.command("schedules", cls=QuickCommand)(schedules)
app.command("pause", cls=RunCommand)(pause)
app.command("resume", cls=RunCommand)(resume)
app.command("unschedule", cls=RunCommand)(unschedule)
app.add_typer(notify, name="notify")
app.command("monitor", cls=QuickCommand)(monitor)
app.command("generate-manifest", cls=QuickCommand)(generate_manifest)
app.command("quota", cls=QuickCommand)(quota)
app.command("datasets", cls=QuickCommand)(datasets)
app.command("validate", cls=QuickCommand)(validate)
app.add_typer(secret, name="secret")
app.add_typer(store, name="store")
app.add_typer(data, name="data")
app.command("login", cls=QuickCommand)(login)
app.command("up", cls=QuickCommand)(up)
app.command("down", cls=QuickCommand)(down)
app.command("status", cls=QuickCommand)(status)
app.command("doctor", cls=QuickCommand)(doctor)
app.command("audit", cls=QuickCommand)(audit)
app.command("version", cls=QuickCommand)(version)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 fine, 1 refused or failed, 2 wrong usage, 130 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    # Where click happens to be installed, httpx imports its own command line with pygments and all of rich: 0.2 s.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding cannot show is shown escaped rather than not at all.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = get_command(app).main(words, prog_name="trainyard", standalone_mode=False)
    except TrainyardError as error:
        return _failed(error, words)
    except TyperException as error:
        return _misused(error, words)
    except KeyboardInterrupt:
        return 130
    return int(code or 0)


def _failed(error: TrainyardError, words: Sequence[str]) -> int:
    from trainyard.cli.output import Screen
    from trainyard.cli.report import report
    from trainyard.client.errors import WrongUsageError

    report(error, Screen("json" if _wants_json(words) else "text"))
    return _WRONG_USAGE if isinstance(error, WrongUsageError) else 1


def _misused(error: TyperException, words: Sequence[str]) -> int:
    from trainyard.client.errors import WrongUsageError

    context = getattr(error, "ctx", None)
    command = context.command_path if context else "trainyard"
    hint = f"`{command} --help` shows how it is used."
    usage = context.get_usage().removeprefix("Usage: ") if context else ""
    return _failed(WrongUsageError(error.format_message().rstrip("."), f"{hint}\n{usage}".strip()), words)


def _wants_json(words: Sequence[str]) -> bool:
    """Say whether the answer is to be JSON, even where the words make no valid command."""
    pairs = zip(words, [*words[1:], ""], strict=True)
    return any(
        word in ("--output=json", "-ojson") or (word in ("--output", "-o") and value == "json") for word, value in pairs
    )


if __name__ == "__main__":
    sys.exit(main())
