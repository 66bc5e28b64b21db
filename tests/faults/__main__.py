"""`python -m faults`: a campaign of faults on a stack of its own; exit code 1 if an invariant breaks."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from faults.actions import FAULTS, Faults, Scene, Toll, wait_for_the_silent
from faults.ground import Ground, ground
from faults.invariants import End, broken
from faults.load import Load, phases
from trainyard.local.ready import wait_for

_RUNS_AT_ONCE = 8
_REST_SECONDS = 600
_AIM_SECONDS = 6.0


def main() -> int:
    options = _options()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    print(f"{options.faults} faults; the same again: make test-faults SEED={seed} FAULTS={options.faults}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="trainyard-faults-"))
    with ground(folder) as there:
        found = _campaign(there, random.Random(seed), options.faults, _chosen(options.only))
    print(*found, sep="\n", file=sys.stderr)
    if found:
        print(f"{len(found)} things are broken; what there was is kept in {folder}", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("--faults", type=int, default=200, help="how many, 200 if not given")
    parser.add_argument("--seed", type=int, help="what makes the faults; a new one if not given")
    names = [fault.__name__ for fault in FAULTS]
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="FAULT", help=", ".join(names))
    return parser.parse_args()


def _chosen(names: list[str]) -> Faults:
    return {fault: often for fault, often in FAULTS.items() if fault.__name__ in names}


def _campaign(there: Ground, rng: random.Random, count: int, faults: Faults) -> list[str]:
    """Do the faults under load, let everything come to rest, and return what is broken."""
    toll, aims, began = Toll(), phases(), time.monotonic()
    with Load(there, random.Random(rng.random()), _RUNS_AT_ONCE) as load:
        for number in range(1, count + 1):
            fault = rng.choices(list(faults), list(faults.values()))[0]
            phase = next(aims)
            wait_for(partial(load.any_in, phase), _AIM_SECONDS)
            done = fault(Scene(there, rng, toll, lambda: load.going))
            at = time.monotonic() - began
            runs = f"{len(load.going)} of {len(load.accepted)} runs are going"
            print(f"{number:4} {at:6.0f} s  {phase:15} {fault.__name__:14} {done}; {runs}", flush=True)
        load.stop()
        there.up()
        wait_for_the_silent()
        rested = wait_for(lambda: load.look() and not load.going and not there.steps(), _REST_SECONDS)
        end = End(there, toll, load.accepted, load.runs)
        print(f"{len(load.runs)} runs: {_counted(end)}", flush=True)
        return [*([] if rested else ["runs still go on"]), *broken(end)]


def _counted(end: End) -> str:
    reported: dict[str, int] = {}
    for run in end.runs.values():
        word = " ".join(filter(None, (run["state"], (run["outcome"] or {}).get("code"))))
        reported[word] = reported.get(word, 0) + 1
    return ", ".join(f"{count} {word}" for word, count in sorted(reported.items()))


if __name__ == "__main__":
    sys.exit(main())
