"""`python -m trainyard.doctor.report`: look after an installation from within, also where its api-server is dead."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
from collections.abc import Sequence
from contextlib import closing

from trainyard.airflow.app import current_app
from trainyard.doctor.checks import WAIT_SECONDS, Wishes, findings
from trainyard.doctor.probepod import MAX_SECONDS
from trainyard.domain.finding import line_of


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the findings as they come; return 0 where all is well, 1 where something is wrong."""
    options = _options(arguments)
    wishes = Wishes(options.store, options.store_connection, options.every_image, options.wait)
    # Airflow logs to stdout, where the lines are; what its libraries try again meanwhile is no news.
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr, force=True)
    # The end of a container or of `docker compose exec` is to remove the probe pod as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    found = []
    try:
        with closing(findings(wishes, current_app())) as coming:
            for finding in coming:
                found.append(finding)
                if options.output == "text":
                    print(line_of(finding), flush=True)
    except KeyboardInterrupt:
        return 130
    well = all(finding.ok for finding in found)
    if options.output == "json":
        print(json.dumps({"ok": well, "findings": [finding.as_dict() for finding in found]}, indent=2))
    return 0 if well else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m trainyard.doctor.report", description=__doc__)
    parser.add_argument("--store", default="", metavar="URL", help="look at this store too; written as TRAINYARD_INBOX")
    parser.add_argument("--store-connection", default="", metavar="ID", help="Airflow connection with its credentials")
    parser.add_argument("--every-image", action="store_true", help="try every framework's image, not only the first")
    parser.add_argument("--wait", type=_seconds, default=WAIT_SECONDS, metavar="SECONDS", help="for a probe pod")
    parser.add_argument("--output", "-o", choices=("text", "json"), default="text")
    return parser.parse_args(arguments)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 1 <= seconds <= MAX_SECONDS:
        raise ValueError(text)
    return seconds


if __name__ == "__main__":
    sys.exit(main())
