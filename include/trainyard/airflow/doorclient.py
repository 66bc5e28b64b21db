"""The front door over HTTP, as the service's own tasks use it: they are its clients as everybody else is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import httpx

from trainyard.domain.training import Credentials
from trainyard.errors import CODES, Problem, TrainyardError, hint_of

CONNECTION = "trainyard_front_door"
# The first sweep of a service that never kept house may take a minute for each of its batches.
_TIMEOUT = httpx.Timeout(10, read=600, write=300, pool=300)
_PAUSE_SECONDS = 180
_HINT = "Look at the api-server; nothing is lost, and it is tried again."
_SIGN_IN = "Check login and password of the connection; its user has to be an admin."


class HttpDoor:
    """Hands submissions in as one user, from many threads; signs in when it has to."""

    def __init__(self, url: str, user: Credentials, verify: Any = True) -> None:
        self._user = user
        self._client = httpx.Client(base_url=url, timeout=_TIMEOUT, verify=verify)
        self._token = ""
        self._lock = Lock()

    def close(self) -> None:
        self._client.close()

    def submit(self, account: str, manifest: Path, archive: Path, key: str) -> str:
        """Hand a submission in and return its model id; raise TrainyardError as the port says."""
        answer = self._answer(lambda token: self._post(account, manifest, archive, key, token))
        if answer.status_code != httpx.codes.ACCEPTED:
            raise _refusal(answer)
        model_id: str = answer.json()["model_id"]
        return model_id

    def ask(self, method: str, place: str, data: Any = None) -> dict[str, Any]:
        """Send JSON data and return the answer's; raise TrainyardError S500 for any answer that is not a good one."""
        answer = self._answer(lambda token: self._client.request(method, place, json=data, headers=_bearer(token)))
        if not answer.is_success:
            raise TrainyardError("S500", f"the front door answers {answer.status_code}: {answer.text[:500]}", _HINT)
        found: dict[str, Any] = answer.json()
        return found

    def _answer(self, send: Callable[[str], httpx.Response]) -> httpx.Response:
        """Send as the signed-in user, once more with a new token where the one there was has expired."""
        try:
            token = self._signed_in("")
            answer = _patiently(lambda: send(token))
            if answer.status_code == httpx.codes.UNAUTHORIZED:
                renewed = self._signed_in(token)
                answer = _patiently(lambda: send(renewed))
        except httpx.HTTPError as error:
            raise TrainyardError("S500", f"the front door does not answer: {type(error).__name__}", _HINT) from None
        return answer

    def _post(self, account: str, manifest: Path, archive: Path, key: str, token: str) -> httpx.Response:
        headers = {**_bearer(token), "Idempotency-Key": key}
        with manifest.open("rb") as text, archive.open("rb") as packed:
            files = {"manifest": (manifest.name, text), "zip": (archive.name, packed)}
            return self._client.post("/v3/models", data={"account": account}, files=files, headers=headers)

    def _signed_in(self, used_up: str) -> str:
        """Return a token; a new one only if there is none but the one that was refused."""
        with self._lock:
            if self._token in ("", used_up):
                user = {"username": self._user.user, "password": self._user.secret}
                answer = _patiently(lambda: self._client.post("/auth/token", json=user))
                if answer.status_code != httpx.codes.CREATED:
                    message = f"the front door does not sign the service's user in ({answer.status_code})"
                    raise TrainyardError("S500", message, _SIGN_IN)
                self._token = answer.json()["access_token"]
            return self._token


@contextmanager
def front_door() -> Iterator[HttpDoor]:
    """Open the front door inside a task, as the user of the connection `trainyard_front_door`."""
    from airflow.sdk import BaseHook

    connection = BaseHook.get_connection(CONNECTION)
    door = HttpDoor(address_of(connection), Credentials(connection.login or "", connection.password or ""))
    try:
        yield door
    finally:
        door.close()


def address_of(connection: Any) -> str:
    """Return the URL of an Airflow connection of type http, whose host may be a whole URL."""
    host = str(connection.host or "")
    address = host if "://" in host else f"{connection.schema or 'http'}://{host}"
    return f"{address}:{connection.port}" if connection.port else address


def _patiently(send: Callable[[], httpx.Response]) -> httpx.Response:
    """Send, again after the pauses that the service asks for: somebody else may guess at the same user's password."""
    left = _PAUSE_SECONDS
    while True:
        answer = send()
        asked = answer.headers.get("retry-after", "")
        pause = int(asked) if answer.status_code == httpx.codes.TOO_MANY_REQUESTS and asked.isdecimal() else 0
        if not 0 < pause <= left:
            return answer
        left -= pause
        time.sleep(pause)


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _refusal(answer: httpx.Response) -> TrainyardError:
    """Read the error of an answer; what is not about the submission is the service's fault."""
    try:
        error = answer.json()["error"]
        code = str(error["code"])
        problems = [Problem(**_known(problem)) for problem in error["problems"]]
        if code in CODES and code not in _NOT_THE_SUBMISSIONS:
            return TrainyardError(code, error["message"], hint_of(error), problems)
        message = f"the front door refuses the service's user: {error['message']}"
        return TrainyardError("S500", message, _SIGN_IN)
    except (ValueError, LookupError, TypeError):
        return TrainyardError("S500", f"the front door answered {answer.status_code}", _HINT)


def _known(problem: dict[str, Any]) -> dict[str, Any]:
    known = {name: value for name, value in problem.items() if name in Problem.__dataclass_fields__}
    return {**known, "hint": hint_of(problem)}


# Not signed in; requests too many or too slow; and a key used for something else, which a drop's key cannot be.
_NOT_THE_SUBMISSIONS = ("C105", "C108", "C120", "C121")
