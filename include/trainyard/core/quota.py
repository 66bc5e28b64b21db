"""What the accounts own and use: GPUs held, GPUs waited for, and the GPU hours of the last days."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from trainyard.core.accounts import Caller, only_admins
from trainyard.domain.budget import Budget
from trainyard.domain.limits import Account, Limits

DAYS = 7
_DAY_SECONDS = 24 * 3600.0


@dataclass(frozen=True)
class Share:
    """What one run takes of its account's GPUs.

    `gpu_seconds` are those used so far, between `started_at` and `ended_at` (seconds since the epoch); `run` is its
    model id, empty of one that Airflow does not have yet.
    """

    account: str
    gpus: int
    holding: bool = False
    waiting: bool = False
    gpu_seconds: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    run: str = ""

    def seconds_since(self, moment: float) -> float:
        """Return the GPU seconds that were used after a moment; a run uses its GPUs evenly."""
        if self.started_at is None or self.ended_at is None or self.started_at >= moment:
            return self.gpu_seconds
        span = self.ended_at - self.started_at
        return self.gpu_seconds * min(1.0, max(0.0, self.ended_at - moment) / span) if span > 0 else 0.0


@dataclass(frozen=True)
class Usage:
    """One account: GPUs it owns and holds, the runs that wait with their GPUs, GPU hours of the last 7 days.

    `budget_used` are the GPU hours of its budget's period, if it has one.
    """

    account: str
    gpus: int
    used: int
    waiting_runs: int
    waiting_gpus: int
    gpu_hours: float
    budget: Budget | None = None
    budget_used: float | None = None


@dataclass(frozen=True)
class Quotas:
    """The use case over its ports; `shares` returns what every run took that was going after a moment.

    `spent` returns the GPU hours that an account has used of its budget, None where it has none.
    """

    limits: Callable[[], Limits]
    shares: Callable[[float], Sequence[Share]]
    sync_pools: Callable[[Limits], None]
    clock: Callable[[], float]
    spent: Callable[[Account], float | None] = lambda _: None

    def of(self, caller: Caller) -> list[Usage]:
        """Return the accounts that the caller is a member of, an admin all; nothing is changed."""
        limits = self.limits()
        since = self.clock() - DAYS * _DAY_SECONDS
        accounts = limits.accounts.values() if caller.admin else limits.accounts_of(caller.name)
        mine = list(accounts)
        spent = {account.name: self.spent(account) for account in mine}
        found = usages(mine, self.shares(since), since)
        return [replace(usage, budget_used=spent[usage.account]) for usage in found]

    def sync(self, caller: Caller) -> list[Usage]:
        """Make the accounts' pools as large as quotas.yaml says, and return the accounts as `of` does.

        Raise TrainyardError C106 for anybody but an admin.
        """
        only_admins(caller, "syncs the pools with quotas.yaml")
        self.sync_pools(self.limits())
        return self.of(caller)


def usages(accounts: Iterable[Account], shares: Iterable[Share], since: float) -> list[Usage]:
    """Add up the shares of each account."""
    of_account = defaultdict[str, list[Share]](list)
    for share in shares:
        of_account[share.account].append(share)
    return [_usage(account, of_account[account.name], since) for account in accounts]


def _usage(account: Account, shares: Sequence[Share], since: float) -> Usage:
    waiting = [share.gpus for share in shares if share.waiting and share.gpus]
    return Usage(
        account=account.name,
        gpus=account.gpus,
        used=sum(share.gpus for share in shares if share.holding),
        waiting_runs=len(waiting),
        waiting_gpus=sum(waiting),
        gpu_hours=sum(share.seconds_since(since) for share in shares) / 3600,
        budget=account.budget,
    )


def follow_quotas(
    limits: Callable[[], Limits],
    sync_pools: Callable[[Limits], None],
    changed: Callable[[Limits, Limits], None] = lambda _, __: None,
) -> Callable[[], Limits]:
    """Return `limits` such that the pools follow the files: at the first look, and whenever these have changed.

    `changed` hears of each change: what was there before, and what is now.
    """
    seen: Limits | None = None

    def look() -> Limits:
        nonlocal seen
        found = limits()
        if found is not seen:
            sync_pools(found)
            before, seen = seen, found
            if before is not None:
                changed(before, found)
        return found

    return look
