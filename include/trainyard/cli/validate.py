"""`trainyard validate MANIFEST [ZIP]`: what the front door would say, without a service."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainyard.cli.options import Output
from trainyard.settings import Settings

if TYPE_CHECKING:
    from trainyard.domain.limits import Account, Limits


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
    from trainyard.domain.addresses import ANYWHERE
    from trainyard.manifest.submission import Rules, check_submission

    screen = Screen(output)
    files = Files(called(manifest), zip_file or "")
    packed = zip_path(zip_file) if zip_file else None
    text, settings = read_manifest_file(manifest), _settings()
    limits = _limits(settings)
    payer = _account(account, limits)
    screen.say(f"Validating {' and '.join(filter(None, (files.manifest, files.zip)))} ...")
    with naming(files):
        # Where stores may be is the service's to say, which is another machine's.
        rules = Rules.of(settings, limits, ANYWHERE)
        (found,) = check_submission([("", text)], packed, payer, rules, lambda *checked: checked)
    read, plan = found
    warnings = list(read.submission.warnings)
    screen.warn(warnings)
    screen.say("OK", "Validate successful")
    shown = plan.as_dict() if account else None
    screen.data({"valid": True, "spec": read.submission.spec.as_dict(), "plan": shown, "warnings": warnings})


def _settings() -> Any:
    from trainyard.settings import read_settings

    return read_settings(os.environ)


def _limits(settings: Settings) -> Limits:
    from trainyard.manifest.limits import load_limits

    names = (settings.frameworks_file, settings.sizes_file, settings.quotas_file)
    return load_limits(*(Path(name) if name else None for name in names))


def _account(name: str | None, limits: Limits) -> Account:
    """Return the account to check against; without a name, one that may have everything."""
    from trainyard.cli.errors import WrongUsageError
    from trainyard.domain.limits import Account

    if name is None:
        return Account(name="", gpus=2**31, members=(), max_hours=1, custom_images=True, connections=None)
    if name not in limits.accounts:
        raise WrongUsageError(f"there is no account {name}", f"Use one of {', '.join(limits.accounts)}.")
    return limits.accounts[name]
