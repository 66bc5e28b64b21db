"""`make fuzz`: the whole campaign over manifests and zips, from a seed that is printed and can be given again."""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from fuzz.child import kind_of
from fuzz.pool import Bounds, Job, judged
from fuzz.verdicts import FAILURES, Verdict, random_of

_KINDS = {"manifests": "fuzz.judging_manifests:MANIFESTS", "zips": "fuzz.judging_zips:ZIPS"}
_MIB = 1024**2
_MAX_TOLD = 20


def main() -> int:
    """Run the campaign and print its table; return 1 if an input crashed it, was slow, big or answered wrongly."""
    options = _options()
    failures = 0
    print(f"seed {options.seed}")
    for name, kind in _KINDS.items():
        failures += _campaign(name, kind, options)
    return 1 if failures else 0


def _campaign(name: str, kind: str, options: argparse.Namespace) -> int:
    jobs = [Job(kind, options.seed, number) for number in _numbers(options, name)]
    began = time.monotonic()
    found = []
    for job, verdict in judged(jobs, Bounds(options.seconds, int(options.mebibytes * _MIB))):
        found.append(verdict)
        if verdict.failed:
            _keep(job, verdict, options.folder / name, sum(each.failed for each in found))
    print("\n".join(_table(name, found, time.monotonic() - began)))
    return sum(verdict.failed for verdict in found)


def _numbers(options: argparse.Namespace, name: str) -> range:
    count, first = getattr(options, name), options.first
    return range(first, first + count)


def _table(name: str, found: list[Verdict], seconds: float) -> Iterator[str]:
    ends = Counter(verdict.end for verdict in found)
    yield f"\n{len(found)} {name} in {seconds:.0f} s"
    for end in [*sorted(end for end in ends if end not in FAILURES), *FAILURES]:
        yield f"  {end:<14}{ends[end]:>7}"
    if found:
        slowest, biggest = max(each.seconds for each in found), max(each.memory for each in found)
        yield f"  slowest {slowest:.2f} s, most memory {biggest / _MIB:.0f} MiB"


def _keep(job: Job, verdict: Verdict, folder: Path, nth: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    kind = kind_of(job.kind)
    file = folder / f"{job.seed}-{job.number}-{verdict.end}{kind.suffix}"
    file.write_bytes(kind.make(random_of(job.seed, job.number)))
    if nth <= _MAX_TOLD:
        print(f"{verdict.end}: {file} ({verdict.seconds:.2f} s, {verdict.memory // _MIB} MiB)\n  {verdict.detail}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="fuzz", description=main.__doc__)
    parser.add_argument("--seed", default=secrets.token_hex(4), help="make the same inputs again")
    parser.add_argument("--manifests", type=int, default=10_000)
    parser.add_argument("--zips", type=int, default=500)
    parser.add_argument("--first", type=int, default=0, help="the number of the first input")
    parser.add_argument("--seconds", type=float, default=Bounds.seconds, help="processor time an input may take")
    parser.add_argument("--mebibytes", type=float, default=Bounds.memory / _MIB, help="memory its process may have")
    parser.add_argument("--folder", type=Path, default=Path(".fuzz"), help="where inputs go that failed")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
