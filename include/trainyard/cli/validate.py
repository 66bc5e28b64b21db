"""`trainyard validate MANIFEST [FOLDER|ZIP]`: what the front door would say, without a service."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Annotated

import typer

from trainyard.cli.options import Output


def validate(
    manifest: Annotated[str, typer.Argument(metavar="MANIFEST", help="The manifest; - reads it from stdin.")],
    program: Annotated[
        str | None, typer.Argument(metavar="FOLDER|ZIP", help="The program: its folder, or its zip.")
    ] = None,
    account: Annotated[str | None, typer.Option(metavar="NAME", help="Check against this account's quota too.")] = None,
    output: Output = "text",
) -> None:
    """Check a manifest and its program on this machine and show everything that is wrong with them."""
    from trainyard.cli.errors import Files, naming
    from trainyard.cli.files import called, in_order, program_of, read_manifest_file
    from trainyard.cli.output import Screen
    from trainyard.client.checking import check

    screen = Screen(output)
    if program:
        program, manifest = in_order(program, manifest)
    files = Files(called(manifest), program or "")
    with program_of(program, [manifest]) if program else nullcontext() as packed:
        text = read_manifest_file(manifest)
        screen.say(f"Validating {' and '.join(filter(None, (files.manifest, files.zip)))} ...")
        with naming(files):
            found = check(text, packed.zip if packed else None, account)
    warnings = list(found.warnings)
    screen.warn(warnings)
    screen.say("OK", "Validate successful")
    shown = found.plan.as_dict() if account else None
    screen.data({"valid": True, "spec": found.spec.as_dict(), "plan": shown, "warnings": warnings})
