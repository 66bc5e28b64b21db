"""`python -m faults.search`: kill Airflow's parts under a running search; exit code 1 unless it has its very trials."""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from faults.actions import AIRFLOW, kill_part
from faults.ground import Ground, ground
from faults.invariants import search_broken
from faults.searched import PROGRAM, SEARCH, read_search
from trainyard.answers.searches import SearchAnswer
from trainyard.client.access import find_access
from trainyard.client.rest import RestClient
from trainyard.local.ready import wait_for

TRIALS = 30
_PARALLEL = 4
_MORE = 5
_BETWEEN_SECONDS, _GONE_SECONDS = (0.0, 12.0), (0.0, 5.0)
_LIMIT_SECONDS = 900
_NAME = "killed"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m faults.search", description=__doc__)
    parser.add_argument("--faults", type=int, default=10, help="how many, 10 if not given")
    parser.add_argument("--seed", type=int, help="what chooses them; a new one if not given")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    print(f"{options.faults} kills; the same again: make test-faults SEARCH=1 SEED={seed} FAULTS={options.faults}")
    folder = Path(tempfile.mkdtemp(prefix="trainyard-faults-"))
    with ground(folder) as there:
        found = _campaign(there, random.Random(seed), options.faults)
    print(*found, sep="\n", file=sys.stderr)
    if found:
        print(f"{len(found)} things are broken; what there was is kept in {folder}", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    return 0


def _campaign(there: Ground, rng: random.Random, kills: int) -> list[str]:
    """Kill parts while the search goes on, with more trials where it is done before; return what is broken."""
    there.yard.submit(
        "fails-with-3", change=lambda text: text + SEARCH % (TRIALS, _PARALLEL), program=PROGRAM, experiment=_NAME
    )
    with RestClient(find_access(None, {}, there.stack.folder.parent)) as door:
        total = TRIALS
        for number in range(1, kills + 1):
            time.sleep(rng.uniform(*_BETWEEN_SECONDS))
            if (seen := door.search(_NAME)).state == "over":
                total = door.extend_search(_NAME, _MORE).total
            part, whole, pause = rng.choice(AIRFLOW), rng.random() < 0.5, rng.uniform(*_GONE_SECONDS)
            done = kill_part(there, part, whole=whole, pause=pause)
            print(f"{number:3} {done}; {json.dumps(seen.counts)}", flush=True)
        over = wait_for(lambda: _is_over(door.search(_NAME)), _LIMIT_SECONDS)
        seen = door.search(_NAME)
    print(f"{json.dumps(seen.counts)} of {total} trials, the best {seen.best.value if seen.best else None}", flush=True)
    found = search_broken(total=total, **read_search(there.yard, _NAME))
    return [*([] if over else ["the search goes on"]), *found]


def _is_over(seen: SearchAnswer) -> bool:
    return seen.state == "over" and not {"waiting", "running"} & seen.counts.keys()


if __name__ == "__main__":
    sys.exit(main())
