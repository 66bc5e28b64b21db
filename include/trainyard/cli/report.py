"""Errors as a person reads them, and as JSON."""

from __future__ import annotations

import sys

from trainyard.cli.errors import RefusedError
from trainyard.cli.output import Screen, paint, printable, remark
from trainyard.client.errors import WrongUsageError
from trainyard.errors import Problem, TrainyardError


def report(error: TrainyardError, screen: Screen) -> None:
    """Report an error: on stdout as `{"error": …}` in JSON mode, else on stderr."""
    screen.data({"error": error.as_dict()})
    if not screen.json:
        remark(*error_lines(error))


def error_lines(error: TrainyardError) -> list[str]:
    """Write every problem with its place, the value seen and the hint; the error itself comes last, as the summary."""
    code = "" if isinstance(error, WrongUsageError) else f" {error.code.code}"
    head = f"{paint(f'error{code}:', 'red', sys.stderr)} {printable(error.message)}"
    problems = [line for problem in error.problems for line in _problem_lines(problem, error)]
    return [*problems, head, *_labelled("hint", error.hint)]


def _problem_lines(problem: Problem, error: TrainyardError) -> list[str]:
    file = error.files.of(problem) if isinstance(error, RefusedError) else problem.file
    head = f"{_place(file, problem)}{printable(problem.message)}"
    return [head, *_labelled("seen", problem.seen or ""), *_labelled("hint", problem.hint)]


def _place(file: str, problem: Problem) -> str:
    """Write `file:line:column: path: `, which editors and terminals can jump to."""
    spot = [str(part) for part in (problem.line, problem.column) if part is not None]
    first = ":".join([file, *spot] if file else ([f"line {', column '.join(spot)}"] if spot else []))
    return "".join(f"{printable(part)}: " for part in (first, problem.path) if part)


def _labelled(label: str, text: str) -> list[str]:
    if not text:
        return []
    first, *more = (printable(line) for line in text.splitlines())
    return [f"  {paint(f'{label}:', 'cyan', sys.stderr)} {first}", *(f"        {line}" for line in more)]
