"""What a service's answers mean: the data of a good one, the error of any other."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import ValidationError

from trainyard.answers.base import Answer
from trainyard.answers.runs import RunAnswer
from trainyard.client.errors import ForeignAnswerError, UnreachableError
from trainyard.domain.states import State
from trainyard.errors import CODES, Problem, TrainyardError, hint_of

_BY_STATUS = {401: "C105", 403: "C106", 404: "C107", 409: "C108", 413: "C109", 429: "C120"}
_SIGN_IN = "Sign in with `trainyard login`, or set TRAINYARD_TOKEN."
_NO_TRAINYARD = "Check the URL; `trainyard login --url URL` changes it."
A = TypeVar("A", bound=Answer)


def answer_of(model: type[A], url: str, status: int, body: bytes) -> A:
    """Read a good answer as a model; raise what any other answer means."""
    try:
        return model.model_validate(data_of(url, status, body))
    except ValidationError:
        raise _no_trainyard(url) from None


def data_of(url: str, status: int, body: bytes, *keys: str) -> dict[str, Any]:
    """Return the JSON object of an answer that must have these keys; raise what any other answer means."""
    if not 200 <= status < 300:
        raise error_of(url, status, body)
    data = _json(body)
    if not isinstance(data, dict) or any(key not in data for key in keys):
        raise _no_trainyard(url)
    return data


def error_of(url: str, status: int, body: bytes) -> TrainyardError:
    """Turn an answer that is not good into an error, whoever wrote it: the service, its host or a proxy before it."""
    data = _json(body)
    if isinstance(data, dict) and isinstance(data.get("error"), dict):
        return _own(data["error"], status)
    if status in (401, 403):
        return ForeignAnswerError(_BY_STATUS[status], f"{url} does not let you in{_detail(data)}", _SIGN_IN)
    if 300 <= status < 400:
        return UnreachableError(f"{url} sends its callers elsewhere (status {status})", _NO_TRAINYARD, sent=False)
    if status == 404:
        message = f"there is no Trainyard service at {url} (status 404{_detail(data)})"
        return UnreachableError(message, _NO_TRAINYARD, sent=False)
    if status == 413:
        return ForeignAnswerError("C109", f"{url} refuses an upload of this size", "Leave out of the zip what is data.")
    if status in (502, 503, 504):
        hint = "Try again in a moment; if it stays so, ask whoever runs the service."
        return UnreachableError(f"the service behind {url} is not there (status {status}{_detail(data)})", hint)
    return ForeignAnswerError(_code("", status), f"{url} answers with status {status}{_detail(data)}", _NO_TRAINYARD)


def failure_of(run: RunAnswer) -> TrainyardError | None:
    """Return why a run that has ended is not completed; None for one that is."""
    if run.state == State.COMPLETED:
        return None
    outcome, canceled = run.outcome, run.state == State.CANCELED
    code = outcome.code if outcome and outcome.code in CODES else ("C204" if canceled else "S500")
    message = (outcome and outcome.message) or ("the run was canceled" if canceled else "the run ended in error")
    return TrainyardError(str(code), message, hint_of(outcome.as_data()) or "" if outcome else "")


def _no_trainyard(url: str) -> UnreachableError:
    return UnreachableError(f"what answers at {url} is no Trainyard service", _NO_TRAINYARD, sent=False)


def _own(error: dict[str, Any], status: int) -> TrainyardError:
    message, hint = str(error.get("message") or ""), str(hint_of(error) or "")
    problems = [_problem(problem) for problem in error.get("problems") or () if isinstance(problem, dict)]
    code = _code(str(error.get("code")), status)
    hint = hint or (_SIGN_IN if code == "C105" else "")
    reported = TrainyardError(code, message or CODES[code].title, hint, problems)
    # Whoever has it as a traceback, in a notebook or a task's log, sees no more than the message otherwise.
    for note in (*problems, hint):
        reported.add_note(str(note))
    return reported


def _problem(data: dict[str, Any]) -> Problem:
    known = {key: value for key, value in data.items() if key in Problem.__dataclass_fields__}
    return Problem(**{"message": "", **known, "hint": hint_of(data) or ""})


def _code(code: str, status: int) -> str:
    """Keep a code that is known; one of a newer service becomes that of its status."""
    return code if code in CODES else _BY_STATUS.get(status, "S500" if status >= 500 else "C110")


def _detail(data: Any) -> str:
    detail = data.get("detail") if isinstance(data, dict) else None
    return f": {detail}" if isinstance(detail, str) else ""


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
