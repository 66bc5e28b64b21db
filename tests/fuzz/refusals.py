"""What every refusal of a submission has to be: ours, the submitter's fault, placed, with a hint, without a secret."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator

from fuzz.scalars import SECRET
from fuzz.verdicts import Verdict
from trainyard.errors import Fault, Problem, TrainyardError

# Problems of the file as a whole, which have no line.
_WHOLE_FILE = ("the file is empty.", "the file has ", "there are ")
_LONGEST_PROBLEM = 4_000
_MAX_PROBLEMS = 150


def judged_refusal(
    error: TrainyardError, codes: Collection[str], lines: int | None, secrets: Collection[str]
) -> Verdict:
    """Return `refused` with its code, or `wrong` with what the refusal lacks.

    `lines` is how many the file has, None where problems have no lines; none of `secrets` may be told.
    """
    faults = [
        *_faults(error, codes, secrets),
        *(fault for each in error.problems for fault in _untold(each, codes, lines)),
    ]
    return Verdict("wrong", faults[0]) if faults else Verdict(f"refused {error.code.code}")


def _faults(error: TrainyardError, codes: Collection[str], secrets: Collection[str]) -> Iterator[str]:
    if error.code.code not in codes or error.fault is not Fault.CLIENT:
        yield f"code {error.code.code}"
    if not error.problems or not error.message or not error.hint:
        yield "no problem, message or hint"
    if len(error.problems) > _MAX_PROBLEMS:
        yield f"{len(error.problems)} problems"
    reported = f"{error} {error!r} {json.dumps(error.as_dict(), allow_nan=False, ensure_ascii=False)}"
    reported.encode()
    if leaked := next((secret for secret in (SECRET, *secrets) if secret in reported), None):
        yield f"told the secret {leaked[:40]}: {next(str(each) for each in error.problems if leaked in repr(each))[:300]}"  # noqa: E501


def _untold(problem: Problem, codes: Collection[str], lines: int | None) -> Iterator[str]:
    reported = str(problem)
    if problem.code not in codes or not problem.message or not problem.hint:
        yield f"no code, message or hint: {problem!r:.300}"
    if len(reported) > _LONGEST_PROBLEM or len(problem.seen or "") > _LONGEST_PROBLEM:
        yield f"a problem of {len(reported)} characters: {reported[:300]}"
    if any(not character.isprintable() for character in reported):
        yield f"a problem that does not print on one line: {reported[:300]!r}"
    if lines is None or problem.message.startswith(_WHOLE_FILE):
        return
    if problem.line is None or problem.column is None:
        yield f"no place: {reported[:300]}"
    elif not (1 <= problem.line <= lines + 1 and problem.column >= 1):
        yield f"a place outside the file of {lines} lines: {reported[:300]}"
