"""Who is notified of an event, and the deliveries that this makes in the outbox."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from trainyard.core.addressbook import AddressBook, Kept
from trainyard.core.catalogue import Training
from trainyard.core.holders import holders_of
from trainyard.core.search.trials import Trial
from trainyard.domain.message import Message, last_values
from trainyard.domain.names import RunKey
from trainyard.domain.notification import Event, Recipient, wants
from trainyard.domain.outcome import Outcome
from trainyard.domain.states import State
from trainyard.domain.variables import Holder
from trainyard.notify.outbox import Delivery, Outbox, delivery_id

log = logging.getLogger(__name__)
OWN, KEPT = "training", "kept"


@dataclass(frozen=True)
class _Wish:
    """Somebody's wish to hear: where the address is kept, how it shows, and of which events."""

    to: str
    shown: str
    events: tuple[str, ...]


@dataclass(frozen=True)
class Notifier:
    """Writes notifications to the outbox; `account_names` are the addresses that quotas.yaml names for an account.

    `page_of` is where people see a run.
    """

    outbox: Outbox
    book: AddressBook
    account_names: Callable[[str], tuple[str, ...]]
    page_of: Callable[[str], str]
    clock: Callable[[], float] = time.time

    def notify(self, training: Training, message: Message, moment: str = "") -> int:
        """Write a delivery to everybody who wants this event of a training's run; return how many are new.

        The same event of the same run and `moment` is written once, however often it is reported.
        """
        return sum(self._put(wish, training, message, moment) for wish in self._wishes(training, message))

    def hears(self, training: Training) -> bool:
        """Say whether anybody is notified of anything of a training."""
        return any(True for _ in self._of_manifest(training)) or any(True for _ in self._of_holders(training))

    def ended(self, training: Training, run: RunKey, outcome: Outcome) -> int:
        """Notify people that a run has ended, and how; of a trial only where it failed, those who ask for failures."""
        ran = outcome.started_at is not None and outcome.finished_at is not None
        message = replace(
            self.about(training, Event.ENDED, run),
            state=outcome.state.value,
            code=outcome.code or "",
            reason=outcome.message,
            hint=outcome.hint,
            metrics=last_values(outcome.metrics),
            duration_seconds=(outcome.finished_at or 0) - (outcome.started_at or 0) if ran else None,
        )
        if training.spec.search:
            if outcome.state is not State.ERROR:
                return 0
            message = replace(message, event=Event.FAILED)
        return self.notify(training, message, f"{outcome.code} {outcome.finished_at}")

    def search_ended(self, training: Training, why: str, best: Trial | None) -> None:
        """Notify people that a search has ended, why, and of its best trial; nothing of it may harm the search."""
        found = f"; the best trial is {best.model_id} with {best.value:.6g}" if best and best.value is not None else ""
        message = self.about(training, Event.ENDED, reason=f"the search has ended: {why}{found}")
        try:
            self.notify(training, replace(message, state=State.COMPLETED.value), "search")
        except OSError as error:
            log.warning("Nobody is notified of the end of a search: %s", error.strerror)

    def skipped(self, training: Training, note: str, moment: float) -> None:
        """Notify people that a scheduled run was not started; nothing of it may harm the schedules."""
        try:
            self.notify(training, self.about(training, Event.SKIPPED, reason=note), f"{moment:.0f}")
        except OSError as error:
            log.warning("Nobody is notified of a skipped run: %s", error.strerror)

    def tell_account(self, account: str, event: Event, reason: str, moment: str) -> int:
        """Write a delivery to each address of an account that hears of its runs; return how many are new."""
        message = Message(event, name=account, account=account, reason=reason, at=self.clock())
        named, new = self.account_names(account), 0
        for kept in self.book.of(Holder.account(account)):
            wish = _wish(kept, ())
            if (kept.every_run or kept.name in named) and wants(wish.events, event):
                known = delivery_id(account, event, "", moment, wish.to)
                new += self.outbox.put(Delivery(known, account, wish.to, wish.shown, message, message.at))
        return new

    def about(self, training: Training, event: Event, run: RunKey | None = None, reason: str = "") -> Message:
        """Return what every message says of a training, and of its run where the event is one's."""
        model_id = run.model_id if run else training.id
        page = self.page_of(model_id)
        known: Any = {"name": training.spec.name, "account": training.account, "owner": training.owner}
        return Message(event, model_id, **known, reason=reason, at=self.clock(), page=page)

    def _put(self, wish: _Wish, training: Training, message: Message, moment: str) -> bool:
        known = delivery_id(training.account, message.event, message.model_id, moment, wish.to)
        if message.event == Event.ENDED and not wants(wish.events, Event.ENDED):
            message = replace(message, event=Event.FAILED)
        who: Any = {"account": training.account, "owner": training.owner}
        return self.outbox.put(
            Delivery(known, to=wish.to, shown=wish.shown, message=message, made_at=message.at, **who)
        )

    def _wishes(self, training: Training, message: Message) -> list[_Wish]:
        found = dict[str, _Wish]()
        for wish in (*self._of_manifest(training), *self._of_holders(training)):
            if _is_wanted(wish, message):
                found.setdefault(wish.to, wish)
        return list(found.values())

    def _of_manifest(self, training: Training) -> Iterator[_Wish]:
        for number, recipient in enumerate(training.spec.notify):
            if not recipient.name:
                yield _Wish(f"{OWN}:{training.id}:{number}", recipient.shown, recipient.events)
            elif wish := self._named(training, recipient):
                yield wish

    def _named(self, training: Training, recipient: Recipient) -> _Wish | None:
        for holder in holders_of(training.owner, training.account):
            if kept := self.book.find(holder, recipient.name):
                return _wish(kept, recipient.events)
        log.warning("Nobody is notified at %s: no such address is kept any more.", recipient.name)
        return None

    def _of_holders(self, training: Training) -> Iterator[_Wish]:
        named = self.account_names(training.account)
        for holder in holders_of(training.owner, training.account):
            for kept in self.book.of(holder):
                if kept.every_run or (holder.kind == "account" and kept.name in named):
                    yield _wish(kept, ())


def _wish(kept: Kept, events: tuple[str, ...]) -> _Wish:
    return _Wish(f"{KEPT}:{kept.connection}", f"{kept.name} ({kept.shown})", events or kept.events)


def _is_wanted(wish: _Wish, message: Message) -> bool:
    if wants(wish.events, Event(message.event)):
        return True
    return message.event == Event.ENDED and message.state == State.ERROR and wants(wish.events, Event.FAILED)
