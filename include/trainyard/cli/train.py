"""`trainyard train FOLDER|ZIP MANIFEST`."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainyard.cli.options import Output, Url

if TYPE_CHECKING:
    from trainyard.answers.runs import Submitted
    from trainyard.cli.files import Handed
    from trainyard.client.rest import RestClient

_UNSURE = "Whether the run was accepted is not known: look with `trainyard list` before you submit again."


def train(
    program: Annotated[
        str, typer.Argument(metavar="FOLDER|ZIP", help="The program: its folder, which is packed, or a zip.")
    ],
    manifests: Annotated[
        list[str], typer.Argument(metavar="MANIFEST", help="The manifest; of several each is a run; - reads stdin.")
    ],
    experiment: Annotated[
        str | None, typer.Option(metavar="NAME", help="The experiment that the runs belong to.", show_default=False)
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE,...",
            help="A hyperparameter, with a run for each of its values; one with a comma in double quotes.",
        ),
    ] = None,
    account: Annotated[str | None, typer.Option(metavar="NAME", help="Who pays. Default: your first account.")] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Show the log until the run has ended; of several, what each does.")
    ] = False,
    url: Url = None,
    output: Output = "text",
) -> None:
    """Submit a training and print its model id, or 1 to 100 of them at once.

    A folder is packed but for what its .trainyardignore names (as .gitignore does) and the manifest itself; MANIFEST
    FOLDER is understood too. Several manifests, and several values to --set, make a run for each combination; all are
    registered or none. With --follow the exit code is 1 unless all complete: of one run the log is shown, of several
    how each goes on.
    """
    from trainyard.cli.client import open_service
    from trainyard.cli.files import handed_in
    from trainyard.cli.follow import follow_to_end
    from trainyard.cli.output import Screen

    screen = Screen(output)
    with ExitStack() as packing:
        handed = packing.enter_context(handed_in(program, manifests))
        fields = {"account": account or "", "experiment": experiment or "", "set": settings or []}
        given = {key: value for key, value in fields.items() if value} | handed.program.fields
        with open_service(url) as service:
            screen.say("Starting to train ...")
            answer = _submit(service, handed, given)
            packing.close()  # a packed folder takes no room while its run is followed
            screen.warn(answer.warnings)
            screen.say("OK", *(f"Model-ID is '{model_id}'" for model_id in answer.all_ids))
            if follow:
                follow_to_end(service, answer, screen)
            else:
                screen.data(answer.as_data())


def _submit(service: RestClient, handed: Handed, fields: dict[str, Any]) -> Submitted:
    from trainyard.cli.errors import naming
    from trainyard.cli.output import remark
    from trainyard.cli.waiting import Upload, transfer_bar
    from trainyard.client.errors import UnreachableError

    size = handed.program.zip.stat().st_size
    with naming(handed.files), transfer_bar(size, "upload") as bar:
        upload = Upload(size, bar)
        try:
            return service.submit(handed.manifests, handed.program.zip, fields, upload)
        except KeyboardInterrupt:
            remark("", _UNSURE if upload.whole else "Nothing was submitted.")
            raise
        except UnreachableError as error:
            unsure = error.sent and upload.whole
            raise UnreachableError(error.message, _UNSURE if unsure else error.hint) from None
