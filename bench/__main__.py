"""Start a stack of its own, measure, print one table, keep the figures."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from bench import known, start
from bench.figures import Figure, table
from trainyard.local.demo import put_data
from trainyard.local.stack import Stack

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Measure everything and return the exit code; figures are kept as JSON for later comparison."""
    with tempfile.TemporaryDirectory(prefix="trainyard-bench-") as folder:
        stack = Stack(Path(folder) / ".trainyard")
        try:
            begun = time.monotonic()
            stack.up(_say)
            figures = [Figure("cold start of the stack", [time.monotonic() - begun], "s")]
            put_data(stack.folder / "objects")
            figures += start.measure(stack, _say)
            figures += known.measure(stack, _say)
        finally:
            stack.down(_say)
    print("\n".join(table(figures)))
    _keep(figures)
    return 0


def _say(line: str) -> None:
    print(f"  {line}", file=sys.stderr, flush=True)


def _keep(figures: list[Figure]) -> None:
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{time.strftime('%Y-%m-%dT%H-%M-%S')}.json"
    file.write_text(json.dumps({figure.name: figure.values for figure in figures}, indent=2))


if __name__ == "__main__":
    sys.exit(main())
