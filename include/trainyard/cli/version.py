"""`trainyard version`."""

from __future__ import annotations

from trainyard.cli.options import Output

# As pyproject.toml has it.
DISTRIBUTION = "trainyard-client"


def version(output: Output = "text") -> None:
    """Print the version of this command line."""
    from trainyard.cli.output import Screen

    screen, number = Screen(output), installed_version()
    screen.say(f"trainyard {number}")
    screen.data({"version": number})


def installed_version() -> str:
    from importlib.metadata import version as version_of

    return version_of(DISTRIBUTION)
