"""The service's REST interface, as one typed object: command line, Python API, inbox and the service's tasks use it."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

import httpx

from trainyard.answers.runs import RunPage
from trainyard.client.access import Access
from trainyard.client.documents import DocumentCalls
from trainyard.client.keptcalls import KeptCalls
from trainyard.client.objectcalls import ObjectCalls
from trainyard.client.plannedcalls import PlannedCalls
from trainyard.client.runcalls import RunCalls
from trainyard.client.servicecalls import ServiceCalls
from trainyard.client.session import Session
from trainyard.client.transport import ANSWER_SECONDS


class RestClient(RunCalls, PlannedCalls, KeptCalls, ServiceCalls):
    """Speaks to one service. Every method raises TrainyardError: the service's own, or one of the client's errors."""

    def __init__(
        self,
        access: Access,
        answer_seconds: float = ANSWER_SECONDS,
        on_pause: Callable[[int], object] | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        super().__init__(Session(access, answer_seconds, on_pause, transport))

    @property
    def documents(self) -> DocumentCalls:
        """What is stored for experiments."""
        return DocumentCalls(self._session, self.url)

    @property
    def objects(self) -> ObjectCalls:
        """What is in the stores that people keep."""
        return ObjectCalls(self._session)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        # Ctrl-C may strike where httpcore has just taken its lock, which stays taken: to close would wait for ever. The
        # connections end with the process.
        if kind is None or not issubclass(kind, KeyboardInterrupt):
            self.close()

    def close(self) -> None:
        self._session.close()

    @property
    def has_answered(self) -> bool:
        """Say whether the service has ever answered this client."""
        return self._session.has_answered

    def sign_in(self, username: str, password: str) -> str:
        """Fetch a token for a name and a password; raise C105 when they are wrong."""
        return self._session.sign_in(username, password)

    def check(self) -> None:
        """Raise unless a Trainyard service answers here and lets the caller in."""
        self._session.ask(RunPage, "GET", "/v3/models", params={"limit": 1, "offset": 0})
