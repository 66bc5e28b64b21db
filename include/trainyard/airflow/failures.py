"""Expected failures in Airflow's log: one block that says what is wrong, and no traceback of the service's own code.

Airflow's task runner logs every exception with its traceback, except SystemExit, of which it logs one line. So that is
how a task ends whose failure is no surprise. Whether it is tried again, a retry policy says, which Airflow asks for
every exception; state, retries and callbacks are as with AirflowException and AirflowFailException.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy

from trainyard.airflow.programlines import visible
from trainyard.domain.outcome import Outcome
from trainyard.errors import Fault, TrainyardError

log = logging.getLogger(__name__)
_AT_FAULT = {Fault.CLIENT: "a fault of the submission", Fault.SERVICE: "a fault of the service"}
_CANCELED = "C204"


class StepFailedError(SystemExit):
    """A failure that is explained in the log already; `final` says that another try would not help."""

    def __init__(self, code: str, text: str, final: bool) -> None:
        super().__init__(code)
        self.text = text
        self.final = final

    def __str__(self) -> str:
        return self.text


class RetryUnlessFinal(RetryPolicy):
    """Fail a task at once whose failure is final; all else is tried again as often as the task says."""

    def evaluate(self, exception: BaseException, *_: Any, **__: Any) -> RetryDecision:
        final = isinstance(exception, StepFailedError) and exception.final
        return RetryDecision.fail() if final else RetryDecision.default()


@contextmanager
def explained() -> Iterator[None]:
    """Fail a task of the service's own DAGs for a TrainyardError with one block of its log; its retries stay."""
    try:
        yield
    except TrainyardError as error:
        text = failure_text(Outcome.of(error))
        log.error(text)  # noqa: TRY400 - the traceback would say nothing more
        raise StepFailedError(error.code.code, text, final=False) from None


def fail(message: str) -> NoReturn:
    """Fail a task whose log has the details already. Raise StepFailedError; its retries stay."""
    log.error(message)
    raise StepFailedError("S500", message, final=False)


def failure_text(outcome: Outcome, last_words: Sequence[str] = ()) -> str:
    """Report a failure in a block of lines: code, whose fault, message, hint and the program's last words."""
    at_fault = "" if outcome.fault is None or outcome.code == _CANCELED else f", {_AT_FAULT[outcome.fault]}"
    lines = [f"{outcome.code}{at_fault}: {visible(outcome.message)}."]
    if outcome.hint:
        lines.append(f"Hint: {visible(outcome.hint)}")
    if last_words:
        lines += ["The last words of the program:", *(f"    {line}" for line in last_words)]
    return "\n".join(lines)


def success_text(outcome: Outcome) -> str:
    """Report a success in one line."""
    warning = f" Warning: {visible(outcome.message)}." if outcome.message else ""
    return f"The program ended with exit code 0 after {outcome.gpu_seconds:.0f} GPU seconds.{warning}"
