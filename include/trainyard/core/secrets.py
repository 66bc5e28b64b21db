"""Secrets that people keep for their programs: whose they are, who may change them, and whose a run is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from trainyard.core.accounts import Caller
from trainyard.core.audit.event import Action
from trainyard.core.audit.recording import NO_AUDIT, Audit
from trainyard.core.holders import holder_for, holder_order, holders_of, visible_holders
from trainyard.domain.limits import Limits
from trainyard.domain.variables import Holder, KeptSecret, fault_of_secret, fault_of_secret_value
from trainyard.errors import TrainyardError

# More than this nobody needs, and each is a row in Airflow's table of connections.
MAX_OF_HOLDER = 100


class SecretKeeper(Protocol):
    """Keeps values encrypted; what it reports of them has none."""

    def keep(self, secret: KeptSecret, value: str) -> None: ...

    def kept(self, holders: Sequence[Holder]) -> list[KeptSecret]: ...

    def is_kept(self, holder: Holder, name: str) -> bool: ...

    def forget(self, holder: Holder, name: str) -> bool: ...


@dataclass(frozen=True)
class Secrets:
    """The use case over its ports. A value goes in, and comes out in a pod alone."""

    keeper: SecretKeeper
    limits: Callable[[], Limits]
    clock: Callable[[], float]
    audit: Audit = NO_AUDIT

    def set(self, name: str, value: str, account: str | None, caller: Caller) -> KeptSecret:
        """Keep a secret of the caller's, or of an account of theirs; one of that name is replaced.

        Raise TrainyardError C106 for an account of others, C110 for a name or a value that cannot be kept.
        """
        with self.audit.action(caller, Action.SET_SECRET, account=account or "", details={"name": _shown(name)}):
            holder = holder_for(caller, account, self.limits())
            if fault := fault_of_secret(name) or fault_of_secret_value(value):
                raise TrainyardError("C110", fault[0].rstrip("."), fault[1])
            others = {other.name for other in self.keeper.kept([holder])} - {name}
            if len(others) >= MAX_OF_HOLDER:
                message = f"{holder} has {MAX_OF_HOLDER} secrets already"
                raise TrainyardError("C110", message, "Remove one with `trainyard secret rm NAME`.")
            secret = KeptSecret(name, holder, self.clock(), caller.name)
            self.keeper.keep(secret, value)
            return secret

    def list(self, caller: Caller) -> list[KeptSecret]:
        """Return the caller's secrets and those of their accounts, an admin's own and those of all accounts."""
        found = self.keeper.kept(visible_holders(caller, self.limits()))
        return sorted(found, key=lambda secret: (holder_order(secret.holder), secret.name))

    def remove(self, name: str, account: str | None, caller: Caller) -> None:
        """Forget a secret. Raise TrainyardError C106 for an account of others, C116 where there is no such secret."""
        with self.audit.action(caller, Action.REMOVE_SECRET, account=account or "", details={"name": _shown(name)}):
            holder = holder_for(caller, account, self.limits())
            if not self.keeper.forget(holder, name):
                raise TrainyardError(
                    "C116", f"{holder} has no such secret", "`trainyard secret list` shows those there are."
                )


def missing_secrets(names: Iterable[str], user: str, account: str, is_kept: Callable[[Holder, str], bool]) -> list[str]:
    """Return which of the names nobody keeps whose secrets the run may be given."""
    return [name for name in names if not any(is_kept(holder, name) for holder in holders_of(user, account))]


def missing_sentence(name: str, user: str, account: str) -> tuple[str, str]:
    """Return message and hint for a secret that is not there."""
    message = f"neither {user} nor account {account} keeps a secret {name}."
    return message, f"Keep it with `trainyard secret set {name}`, or with --account {account} for all of its members."


def _shown(name: str) -> str:
    """Return a name as the audit log may have it: what is no name may be a value."""
    return "" if fault_of_secret(name) else name
