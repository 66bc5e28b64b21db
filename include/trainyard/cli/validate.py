"""`trainyard validate MANIFEST [ZIP]`: what the front door would say, without a service."""

from __future__ import annotations

from typing import Annotated

import typer

from trainyard.cli.options import Output


def validate(
    manifest: Annotated[str, typer.Argument(metavar="MANIFEST", help="The manifest; - reads it from stdin.")],
    zip_file: Annotated[str | None, typer.Argument(metavar="ZIP", help="The zip with the program.")] = None,
    account: Annotated[str | None, typer.Option(metavar="NAME", help="Check against this account's quota too.")] = None,
    output: Output = "text",
) -> None:
    """Check a manifest and a zip on this machine and show everything that is wrong with them."""
    from trainyard.cli.errors import Files, naming
    from trainyard.cli.files import called, read_manifest_file, zip_path
    from trainyard.cli.output import Screen
    from trainyard.client.checking import check

    screen = Screen(output)
    files = Files(called(manifest), zip_file or "")
    packed = zip_path(zip_file) if zip_file else None
    text = read_manifest_file(manifest)
    screen.say(f"Validating {' and '.join(filter(None, (files.manifest, files.zip)))} ...")
    with naming(files):
        found = check(text, packed, account)
    warnings = list(found.warnings)
    screen.warn(warnings)
    screen.say("OK", "Validate successful")
    shown = found.plan.as_dict() if account else None
    screen.data({"valid": True, "spec": found.spec.as_dict(), "plan": shown, "warnings": warnings})
