"""Every answer that is not 2xx."""

from __future__ import annotations

from trainyard.answers.base import Whole


class ProblemAnswer(Whole):
    """One fault of a submission: where it is, what was seen there, and the hint. `cure` is the hint, until 0.3."""

    code: str
    message: str
    hint: str
    cure: str
    path: str
    line: int | None
    column: int | None
    seen: str | None
    file: str


class ErrorInside(Whole):
    """What went wrong: a stable code, whose fault it is, the sentence, the hint, and every problem of a submission.

    `cure` is the hint, until 0.3.
    """

    code: str
    fault: str
    message: str
    hint: str
    cure: str
    problems: list[ProblemAnswer]


class ErrorAnswer(Whole):
    """Every answer that is not 2xx."""

    error: ErrorInside
