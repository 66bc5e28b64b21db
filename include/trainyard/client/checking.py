"""A submission checked on this machine: what the front door would say, without a service."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from trainyard.client.errors import WrongUsageError
from trainyard.domain.addresses import ANYWHERE
from trainyard.domain.limits import Account, Limits
from trainyard.domain.plan import Plan
from trainyard.domain.training import TrainingSpec
from trainyard.manifest.limits import load_limits
from trainyard.manifest.submission import Rules, check_submission
from trainyard.settings import limits_files, read_settings


@dataclass(frozen=True)
class Checked:
    """A submission without a fault; it may have warnings all the same."""

    spec: TrainingSpec
    plan: Plan
    warnings: tuple[str, ...]


def check(manifest: bytes, zip_path: Path | None, account: str | None) -> Checked:
    """Check a manifest and its zip against the installation that the environment describes.

    Raise TrainyardError with all that is wrong, and WrongUsageError for an account that is not there.
    """
    settings = read_settings(os.environ)
    limits = load_limits(*limits_files(settings))
    # Where stores may be is the service's to say, which is another machine's.
    rules = Rules.of(settings, limits, ANYWHERE)
    payer = _account(account, limits)
    (found,) = check_submission([("", manifest)], zip_path, payer, rules, lambda *checked: checked)
    read, plan = found
    return Checked(read.submission.spec, plan, tuple(read.submission.warnings))


def _account(name: str | None, limits: Limits) -> Account:
    """Return the account to check against; without a name, one that may have everything."""
    if name is None:
        return Account(name="", gpus=2**31, members=(), max_hours=1, custom_images=True, connections=None)
    if name not in limits.accounts:
        raise WrongUsageError(f"there is no account {name}", f"Use one of {', '.join(limits.accounts)}.")
    return limits.accounts[name]
