"""The use cases about notifications: the addresses that people keep, a test, and what did not arrive."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from trainyard.core.accounts import Caller, only_admins
from trainyard.core.addressbook import AddressBook, AddressVault, Kept
from trainyard.core.audit.event import Action
from trainyard.core.audit.recording import Audit
from trainyard.core.catalogue import Training
from trainyard.core.holders import holder_for, visible_holders
from trainyard.core.notifier import KEPT, Notifier
from trainyard.core.runs import Run
from trainyard.domain.addresses import AddressPolicy
from trainyard.domain.limits import Limits
from trainyard.domain.message import Message
from trainyard.domain.notification import EVENTS, MIN_SECRET, NAME, Address, Event, read_address
from trainyard.domain.variables import Holder
from trainyard.errors import TrainyardError
from trainyard.notify.outbox import Delivery, Outbox, delivery_id


@dataclass(frozen=True)
class Notifications:
    """The use cases over their ports; `sends_mail` says whether the service has a mail server of its own.

    `going` returns the runs that have not ended; `waiting_seconds` is when one has waited too long, 0 for never.
    """

    book: AddressBook
    vault: AddressVault
    outbox: Outbox
    limits: Callable[[], Limits]
    addresses: AddressPolicy
    sends_mail: bool
    clock: Callable[[], float]
    audit: Audit
    notifier: Notifier
    trainings: Callable[[str], Training | None]
    going: Callable[[], Iterable[Run]]
    waiting_seconds: float

    def all(self, caller: Caller) -> list[Kept]:
        """Return the caller's addresses, and those of the caller's accounts."""
        return [kept for holder in visible_holders(caller, self.limits()) for kept in self.book.of(holder)]

    def set(
        self,
        caller: Caller,
        name: str,
        text: str,
        secret: str = "",
        events: Iterable[str] = (),
        every_run: bool = False,
        account: str | None = None,
    ) -> tuple[Kept, str]:
        """Keep an address under a name; return it, and the secret of a webhook where one was made for it.

        Raise TrainyardError C110 for what cannot be kept, C106 for an account's by anybody but an admin.
        """
        noted = {"name": name[:100]}
        with self.audit.action(caller, Action.SET_ADDRESS, account=account or "", details=noted):
            holder = self._holder(caller, account)
            _check(name, secret, events := tuple(events))
            url = read_address(text, self.addresses, sends_mail=self.sends_mail)
            if isinstance(url, tuple):
                raise TrainyardError("C110", url[0].rstrip("."), url[1])
            made = "" if secret or not Address(url).is_webhook else secrets.token_urlsafe(32)
            address = Address(url, secret or made)
            kept = Kept(holder, name, address.shown, events, every_run)
            self.book.keep(kept, address, self.vault)
        return kept, made

    def remove(self, caller: Caller, name: str, account: str | None = None) -> None:
        """Forget an address; what waits for it is given up. Raise TrainyardError C107 if there is none."""
        with self.audit.action(caller, Action.REMOVE_ADDRESS, account=account or "", details={"name": name[:100]}):
            self.book.remove(self._kept(self._holder(caller, account), name), self.vault)

    def test(self, caller: Caller, name: str, account: str | None = None) -> Delivery:
        """Send a test to an address and return its delivery; raise TrainyardError C107 if there is none."""
        kept = self._kept(self._holder(caller, account), name)
        now = self.clock()
        reason = f"{caller.name} asked whether notifications arrive here"
        message = Message(Event.TEST, account=account or "", owner=caller.name, reason=reason, at=now)
        to, queue = f"{KEPT}:{kept.connection}", account or f"user {caller.name}"
        number = delivery_id(queue, Event.TEST, secrets.token_hex(8), "", to)
        delivery = Delivery(number, queue, to, f"{kept.name} ({kept.shown})", message, now, owner=caller.name)
        self.outbox.put(delivery)
        return delivery

    def undelivered(self, caller: Caller) -> tuple[Sequence[Delivery], Sequence[Delivery]]:
        """Return what the caller may see of what failed and is tried again, and of what is given up."""
        sees = self._sight(caller)
        failing = [each for each in self.outbox.waiting() if each.tries and sees(each)]
        return failing, [each for each in self.outbox.dead() if sees(each)]

    def state_of(self, caller: Caller, number: str) -> tuple[str, str]:
        """Return what became of a delivery, `waiting`, `failing`, `dead` or `arrived`, and why it failed last.

        Raise TrainyardError C107 where the caller may see none of this id.
        """
        if number.isalnum() and (found := self.outbox.find(number)) and self._sight(caller)(found):
            dead = any(each.id == number for each in self.outbox.dead())
            return "dead" if dead else "failing" if found.tries else "waiting", found.failure
        if number.isalnum() and self.outbox.has_arrived(number):
            return "arrived", ""
        raise TrainyardError("C107", "there is no such delivery", "`trainyard notify list` shows those that failed.")

    def retry(self, caller: Caller) -> int:
        """Let all that the caller may see and that was given up be tried again; return how many that are."""
        with self.audit.action(caller, Action.RETRY_NOTIFICATIONS) as known:
            _, dead = self.undelivered(caller)
            for delivery in dead:
                self.outbox.revive(delivery, self.clock())
            known["details"] = {"deliveries": len(dead)}
        return len(dead)

    def notify_waiting(self, caller: Caller) -> int:
        """Notify people of the runs that wait for too long, each once; return how many deliveries are new.

        Raise C106 for anybody but an admin.
        """
        only_admins(caller, "notifies of waiting runs", "The service does so by itself.")
        late = self.clock() - self.waiting_seconds
        waiting = (run for run in self.going() if run.waiting and run.submitted_at < late)
        return sum(map(self._tell_waiting, waiting)) if self.waiting_seconds else 0

    def _tell_waiting(self, run: Run) -> int:
        training = self.trainings(run.training_id)
        if training is None or not self.notifier.hears(training):
            return 0
        reason = f"{run.waiting}, for {(self.clock() - run.submitted_at) / 60:.0f} minutes"
        message = replace(self.notifier.about(training, Event.WAITING, run.key, reason), name=run.name)
        return self.notifier.notify(training, message)

    def _sight(self, caller: Caller) -> Callable[[Delivery], bool]:
        mine = {account.name for account in self.limits().accounts_of(caller.name)}
        return lambda each: caller.admin or each.owner == caller.name or each.account in mine

    def _holder(self, caller: Caller, account: str | None) -> Holder:
        if account is not None:
            only_admins(caller, "keeps the addresses of an account")
        return holder_for(caller, account, self.limits())

    def _kept(self, holder: Holder, name: str) -> Kept:
        kept = self.book.find(holder, name)
        if kept is None:
            hint = "`trainyard notify list` shows those that are kept."
            raise TrainyardError("C107", "no address of this name is kept", hint)
        return kept


def _check(name: str, secret: str, events: tuple[str, ...]) -> None:
    if not NAME.fullmatch(name):
        hint = "Use up to 63 letters, digits, dots, dashes and underscores."
        raise TrainyardError("C110", "no address can have this name", hint)
    if secret and (len(secret) < MIN_SECRET or not secret.isprintable()):
        raise TrainyardError("C110", "the secret is too short", f"Use {MIN_SECRET} characters or more.")
    if unknown := set(events) - set(EVENTS):
        raise TrainyardError("C110", f"there are {len(unknown)} unknown events", f"Known are {', '.join(EVENTS)}.")
