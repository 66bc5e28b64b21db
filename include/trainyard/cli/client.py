"""The client of the commands: the service that options, environment and kept files name."""

from __future__ import annotations

import os
from pathlib import Path

from trainyard.cli.output import remark, warn
from trainyard.client.access import find_access, warnings_of
from trainyard.client.rest import RestClient


def open_service(url: str | None) -> RestClient:
    """Open the service that the options, the environment and the kept files name."""
    access = find_access(url, os.environ, Path.cwd())
    warn(*warnings_of(access.url))
    return RestClient(access, on_pause=remark_pause)


def remark_pause(seconds: int) -> None:
    remark(f"The service limits how much one user may ask for: going on in {seconds} s ...")
