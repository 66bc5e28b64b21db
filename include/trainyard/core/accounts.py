"""Who is asking, and which accounts are theirs."""

from __future__ import annotations

from dataclasses import dataclass, field

from trainyard.domain.limits import Account, Limits
from trainyard.errors import TrainyardError


@dataclass(frozen=True)
class Caller:
    """Who is asking, as Airflow's auth manager says. An admin may use and see every account.

    `address` is where the request came from, empty where that is not known.
    """

    name: str
    admin: bool = False
    address: str = field(default="", compare=False)


# The service itself, where nobody asked it.
SERVICE = Caller("trainyard", admin=True)


def account_for(caller: Caller, name: str | None, limits: Limits) -> Account:
    """Find the account that pays: the one named, else the caller's first.

    Raise TrainyardError C106 when the caller is not a member, with the accounts that are open to them.
    """
    mine = list(limits.accounts.values()) if caller.admin else limits.accounts_of(caller.name)
    names = ", ".join(account.name for account in mine)
    if not mine:
        raise TrainyardError("C106", f"{caller.name} is a member of no account", "Ask who keeps quotas.yaml.")
    if name is None:
        return mine[0]
    found = next((account for account in mine if account.name == name), None)
    if found is None:
        raise TrainyardError("C106", f"{caller.name} is no member of an account {name}", f"Use one of {names}.")
    return found


def may_see(caller: Caller, account: str, limits: Limits) -> bool:
    return caller.admin or any(mine.name == account for mine in limits.accounts_of(caller.name))


def only_admins(caller: Caller, action: str, hint: str = "Ask whoever runs the service.") -> None:
    """Raise TrainyardError C106 for anybody but an admin; `action` is what an admin alone does, as `keeps house`."""
    if not caller.admin:
        raise TrainyardError("C106", f"only an admin {action}", hint)
