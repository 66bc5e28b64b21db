"""What a changed quotas.yaml means for the accounts, as events: who became a member, and what an account may use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, fields
from typing import Any

from trainyard.core.accounts import SERVICE
from trainyard.core.audit.event import Action
from trainyard.core.audit.recording import Audit
from trainyard.domain.limits import Account, Limits
from trainyard.domain.watchdogs import Then, Watch


def record_changes(audit: Audit, before: Limits, after: Limits) -> None:
    """Record each account that was added, removed or changed."""
    for name, details in account_changes(before, after):
        audit.record(SERVICE, Action.CHANGE_ACCOUNT, account=name, details=details)


def account_changes(before: Limits, after: Limits) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the name of each account that differs and, for each of its values that does, `before -> after`.

    Of members only those that came and went are named, so that a long list does not hide them.
    """
    for name in sorted(before.accounts.keys() | after.accounts.keys()):
        old, new = before.accounts.get(name), after.accounts.get(name)
        if old != new:
            yield name, {**_membership(old, new), **_values(old, new)}


def _membership(old: Account | None, new: Account | None) -> dict[str, str]:
    were, are = (set(account.members) if account else set() for account in (old, new))
    return {"members_added": ", ".join(sorted(are - were)), "members_removed": ", ".join(sorted(were - are))}


def _values(old: Account | None, new: Account | None) -> dict[str, str]:
    left, right = (_shown(account) for account in (old, new))
    keys = [key for key in {**left, **right} if left.get(key) != right.get(key)]
    return {key: f"{left.get(key, 'none')} -> {right.get(key, 'none')}" for key in keys}


def _shown(account: Account | None) -> dict[str, Any]:
    if account is None:
        return {}
    shown = {field.name: getattr(account, field.name) for field in fields(account)}
    kept = {key: value for key, value in shown.items() if key not in ("name", "members")}
    return {**kept, "notify": account.notify or None, "watch": _watchdogs(account.watch)}


def _watchdogs(watch: Watch) -> str | None:
    """Return the watchdogs that are on and what each does, None where none is."""
    return ", ".join(f"{name}: {value}" for name, value in asdict(watch).items() if isinstance(value, Then)) or None
