"""Measure the parts that are named, else all; print one table, keep the figures."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from bench import (
    accounts,
    datasets,
    drops,
    idle,
    learners,
    listing,
    metrics,
    moves,
    pages,
    queue,
    search,
    siege,
    start,
    wrapper,
)
from bench.figures import Figure, table
from trainyard.errors import TrainyardError

RESULTS = Path(__file__).parent / "results"
PARTS: dict[str, Callable[[Callable[[str], None]], Iterable[Figure]]] = {
    "start": start.measure,
    "idle": idle.measure,
    "queue": queue.measure,
    "learners": learners.measure,
    "search": search.measure,
    "list": listing.measure,
    "pages": pages.measure,
    "drops": drops.measure,
    "datasets": datasets.measure,
    "moves": moves.measure,
    "metrics": metrics.measure,
    "wrapper": wrapper.measure,
    "accounts": accounts.measure,
    "siege": siege.measure,
}


def main() -> int:
    """Measure and return the exit code; figures are kept as JSON for later comparison."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("part", nargs="*", help=f"{', '.join(PARTS)}; all if none is named")
    parts = parser.parse_args().part or list(PARTS)
    if unknown := set(parts) - PARTS.keys():
        parser.error(f"there is no part {', '.join(unknown)}: the parts are {', '.join(PARTS)}")
    figures: list[Figure] = []
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C, so that no stack is left behind
    try:
        for part in parts:
            figures += PARTS[part](_say)
    except TrainyardError as error:
        print(f"{error}. {error.hint}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:  # what was measured is not lost with a part that fails or is broken off
        if figures:
            print("\n".join(table(figures)))
            _keep(figures)
    return 0


def _say(line: str) -> None:
    print(f"  {line}", file=sys.stderr, flush=True)


def _keep(figures: list[Figure]) -> None:
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{time.strftime('%Y-%m-%dT%H-%M-%S')}.json"
    file.write_text(json.dumps({figure.name: figure.as_dict() for figure in figures}, indent=2))


if __name__ == "__main__":
    sys.exit(main())
