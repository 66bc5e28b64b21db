"""Recording what callers do: an event for each action, also for one that is refused or fails."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from trainyard.core.accounts import SERVICE, Caller
from trainyard.core.audit.event import Action, Event, Result
from trainyard.errors import Fault, TrainyardError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Audit:
    """The port through which use cases record; `write` must not raise, since no request fails for want of a record."""

    write: Callable[[Event], object]
    clock: Callable[[], float] = time.time

    def record(self, caller: Caller, action: str, **about: Any) -> None:
        """Record an action; `about` are fields of Event."""
        self.write(Event(self.clock(), caller.name, action, caller.admin, remote=caller.address, **about))

    @contextmanager
    def action(self, caller: Caller, action: str, **about: Any) -> Iterator[dict[str, Any]]:
        """Record what is done inside once it is done, refused or failed; what becomes known is added to the yield."""
        with self.refusals(caller, action, **about) as known:
            yield known
        self.record(caller, action, **known)

    @contextmanager
    def refusals(self, caller: Caller, action: str, **about: Any) -> Iterator[dict[str, Any]]:
        """Record what is done inside only if it is refused or fails."""
        known = dict(about)
        try:
            yield known
        except TrainyardError as error:
            result = Result.REFUSED if error.fault is Fault.CLIENT else Result.FAILED
            self.record(caller, action, **{**known, "result": result, "code": error.code.code})
            raise
        except Exception:
            self.record(caller, action, **{**known, "result": Result.FAILED, "code": "S500"})
            raise


NO_AUDIT = Audit(lambda _: None)


class Writer:
    """Hands events to a sink and outlives its failures: each is logged, and counted for the doctor."""

    def __init__(self, append: Callable[[Event], None]) -> None:
        self._append = append
        self.lost = 0
        self.reason = ""

    def write(self, event: Event) -> bool:
        """Write an event; return whether it was written."""
        try:
            self._append(event)
        except OSError as error:
            self.lost += 1
            self.reason = error.strerror or type(error).__name__
            # Where it was raised says nothing, and a full disk loses many.
            log.error("an event of the audit log is lost (%s): %s", self.reason, event.as_dict())  # noqa: TRY400
            return False
        return True

    def check(self) -> bool:
        """Write an event that says no more than that events can be written; return whether they can."""
        return self.write(Event(time.time(), SERVICE.name, Action.CHECK_AUDIT, SERVICE.admin))


def about(run: Any) -> Mapping[str, str]:
    """Return what an event says of a run."""
    return {"run": run.model_id, "training": run.training_id, "account": run.account}
