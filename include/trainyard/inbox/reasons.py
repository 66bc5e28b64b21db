"""reasons.txt: what a refused drop's owner reads."""

from __future__ import annotations

from collections.abc import Iterable

from trainyard.errors import Problem
from trainyard.inbox.drops import Drop


def reasons_text(drop: Drop, problems: Iterable[Problem]) -> str:
    """Return every fault with its place and hint, and what to do next."""
    found = list(problems)
    count = "one reason" if len(found) == 1 else f"{len(found)} reasons"
    faults = "\n".join(f"{problem.code}  {_reported(problem)}\n      {problem.hint}" for problem in found)
    return (
        f"{drop.place} was not trained, for {count}:\n\n{faults}\n\n"
        "The files beside this one are as they were dropped. Fix them and drop both into a folder\n"
        "of inbox/<account>/ again.\n"
    )


def _reported(problem: Problem) -> str:
    seen = f" (found: {problem.seen})" if problem.seen else ""
    return f"{problem.place} {problem.message}".strip() + seen
