"""Who holds what people keep (secrets, stores, addresses): a user, or an account for all of its members."""

from __future__ import annotations

from trainyard.core.accounts import Caller, account_for
from trainyard.domain.limits import Limits
from trainyard.domain.variables import Holder


def holder_for(caller: Caller, account: str | None, limits: Limits) -> Holder:
    """Return the caller, or the account that is named. Raise TrainyardError C106 for an account of others."""
    return Holder.account(account_for(caller, account, limits).name) if account else Holder.user(caller.name)


def visible_holders(caller: Caller, limits: Limits) -> list[Holder]:
    """Return the caller and then their accounts; for an admin, all accounts."""
    accounts = limits.accounts.values() if caller.admin else limits.accounts_of(caller.name)
    return [Holder.user(caller.name), *(Holder.account(account.name) for account in accounts)]


def holders_of(user: str, account: str) -> tuple[Holder, Holder]:
    """Return whose things a run may use, first the one that takes precedence: who started it, and who pays."""
    return Holder.user(user), Holder.account(account)


def holder_order(holder: Holder) -> tuple[bool, str]:
    """Return what sorts users before accounts, and each by name."""
    return holder.kind != "user", holder.name
