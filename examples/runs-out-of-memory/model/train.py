"""Take more and more memory, as a program does that keeps every batch it has seen."""

from __future__ import annotations

import argparse
import sys
import time

MEBIBYTE = 1024**2


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--step", type=int, default=20, help="MiB to take at once")
    parser.add_argument("--most", type=int, default=2000, help="MiB at which to give up, where no limit holds")
    options = parser.parse_args()

    batches = []
    for held in range(options.step, options.most + 1, options.step):
        # Written to, because memory that is only reserved is not taken yet.
        batches.append(b"\xff" * (options.step * MEBIBYTE))
        print(f"holding {held} MiB in {len(batches)} batches", flush=True)
        time.sleep(0.05)
    print(f"no limit ended this program at {options.most} MiB", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
