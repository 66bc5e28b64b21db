"""What the calls of the REST interface have in common: a session, places, and lists that come in pages."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from trainyard.answers.runs import RunPage, SchedulePage
from trainyard.client.errors import WrongUsageError
from trainyard.client.reading import error_of
from trainyard.client.session import Session

PAGE = 500
ALL: Mapping[str, Any] = MappingProxyType({})
P = TypeVar("P", RunPage, SchedulePage)


class Calls:
    """Calls of one kind; every one raises TrainyardError: the service's own, or one of the client's errors."""

    def __init__(self, session: Session) -> None:
        self.url = session.url
        self._session = session

    def _remove(self, place: str, **content: Any) -> httpx.Response:
        answer = self._session.send("DELETE", place, **content)
        if not answer.is_success:
            raise error_of(self.url, answer.status_code, answer.content)
        return answer

    def _all(self, kind: type[P], place: str, key: str, wanted: Mapping[str, Any] = ALL, start: int = 0) -> list[Any]:
        """Return what every page from a start on has, once each; `key` distinguishes them."""
        found: dict[str, Any] = {}
        # What comes and goes between two pages shifts the pages: look again until as many are known as there are.
        for _ in range(3):
            if self._collect(found, kind, place, key, wanted, start) - start <= len(found):
                break
        return list(found.values())

    def _collect(
        self, found: dict[str, Any], kind: type[P], place: str, key: str, wanted: Mapping[str, Any], offset: int
    ) -> int:
        """Add what every page from the offset on has to what was found; return how many there are."""
        while True:
            page = self._session.ask(kind, "GET", place, params={**wanted, "limit": PAGE, "offset": offset})
            found.update((getattr(row, key), row) for row in page.resources)
            offset += len(page.resources)
            if not page.resources or offset >= page.total:
                return page.total


def of_account(account: str | None) -> dict[str, str]:
    """Return the parameter that names an account, where one is named."""
    return {"account": account} if account else {}


def place_of(model_id: str, among: str = "models") -> str:
    """Return the path of a run, or of what else has a name; raise WrongUsageError for one that makes no path."""
    if not model_id.strip("./ "):
        raise WrongUsageError(f"{model_id!r} is no model id", "`trainyard list` shows the model ids there are.")
    return f"/v3/{among}/{quote(model_id, safe='')}"
