"""The port to the front door, as the inbox needs it, and the one over HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from trainyard.answers.runs import Submitted
from trainyard.client.errors import ForeignAnswerError
from trainyard.client.rest import RestClient
from trainyard.errors import TrainyardError

# Not signed in; requests too many or too slow; and a key used for something else, which a drop's key cannot be.
_NOT_THE_SUBMISSIONS = ("C105", "C108", "C115", "C120", "C121")
_HINT = "Look at the api-server and at login and password of its connection; nothing is lost, and it is tried again."

_OLDER = "It is of an earlier version: start the api-server again; nothing is lost, and it is tried again."


class FrontDoor(Protocol):
    """Takes submissions."""

    def submit(self, account: str, manifest: Path, archive: Path, key: str) -> Submitted:
        """Hand a submission in and return what it became; the same key again answers the same and registers nothing.

        Raise TrainyardError: with the client's fault if it is refused, with the service's if it is worth another try.
        """


@dataclass(frozen=True)
class HttpDoor:
    """DropSubmitter submissions in as the user of a client; many threads may share it."""

    service: RestClient

    def submit(self, account: str, manifest: Path, archive: Path, key: str) -> Submitted:
        """Hand a submission in; what is not about the submission is the service's fault, whatever its code says."""
        try:
            with manifest.open("rb") as text:
                answer = self.service.submit([(manifest.name, text)], archive, {"account": account}, key=key)
        except ForeignAnswerError as error:
            raise TrainyardError("S500", f"the front door cannot be used: {error.message}", _HINT) from None
        except TrainyardError as error:
            if error.code.code not in _NOT_THE_SUBMISSIONS:
                raise
            raise TrainyardError("S500", f"the front door refuses the service's user: {error.message}", _HINT) from None
        if not answer.manifest:
            raise TrainyardError("S500", "the front door does not report the manifest that it keeps", _OLDER)
        return answer
