"""The use case of budgets: what accounts have used of theirs, and who hears when that is most or all of it.

Airflow forgets runs after their retention, and people delete them: what each has used is noted here for its period.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from trainyard.core.accounts import Caller, only_admins
from trainyard.core.quota import Share
from trainyard.core.wholefiles import write_whole
from trainyard.domain.budget import Budget
from trainyard.domain.limits import Account, Limits
from trainyard.workspace.locks import locked


@dataclass(frozen=True)
class Ledger:
    """What the runs of an account have used in a period, in GPU seconds, and of which thresholds people have heard.

    `since` is when the period began, in seconds since the epoch.
    """

    since: float = 0.0
    seconds: Mapping[str, float] = field(default_factory=dict)
    told: tuple[str, ...] = ()

    @property
    def hours(self) -> float:
        return sum(self.seconds.values()) / 3600

    def with_shares(self, shares: Sequence[Share], since: float) -> Ledger:
        """Return the ledger of a period with what its runs have used by now; nothing that was used is taken back."""
        known = dict(self.seconds) if since == self.since else {}
        for share in shares:
            used = share.seconds_since(since)
            if share.run and used > known.get(share.run, 0.0):
                known[share.run] = used
        return Ledger(since, known, self.told if since == self.since else ())


@dataclass(frozen=True)
class Budgets:
    """The use case over its ports.

    `shares` returns what every run took that was going after a moment; `tell` writes a notification of an account with
    a reason, once for each text that names its occasion, and returns how many are new.
    """

    folder: Path
    limits: Callable[[], Limits]
    shares: Callable[[float], Sequence[Share]]
    tell: Callable[[str, str, str], int]
    clock: Callable[[], float]

    def look(self, caller: Caller) -> int:
        """Note what the accounts with a budget have used, and tell of what has been reached; return how many hear it.

        Raise TrainyardError C106 for anybody but an admin.
        """
        only_admins(caller, "tells of budgets", "The service does so by itself.")
        found = [(account, account.budget) for account in self.limits().accounts.values() if account.budget]
        if not found:
            return 0
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder / ".lock"):
            # Accounts with the same period share one look at the runs.
            shares = functools.cache(self.shares)
            return sum(self._look(account, budget, shares) for account, budget in found)

    def used(self, account: Account) -> float | None:
        """Return the GPU hours of an account in this period, as of the last look; None where it has no budget."""
        if account.budget is None:
            return None
        kept = self._read(account.name)
        return kept.hours if kept.since == account.budget.since(self.clock()) else 0.0

    def _look(self, account: Account, budget: Budget, shares: Callable[[float], Sequence[Share]]) -> int:
        since = budget.since(self.clock())
        mine = [share for share in shares(since) if share.account == account.name]
        ledger = self._read(account.name).with_shares(mine, since)
        # A budget that was raised meanwhile is another one to hear of.
        occasions = {percent: f"{percent} of {budget.gpu_hours:g}" for percent in budget.reached(ledger.hours)}
        new = [percent for percent, occasion in occasions.items() if occasion not in ledger.told]
        heard = 0
        if new:
            reason = _sentence(account.name, budget, ledger.hours, max(new))
            heard = self.tell(account.name, reason, f"{since:.0f} {occasions[max(new)]}")
        # Noted once it is in the outbox: what breaks off in between is reported again, and the outbox knows it by then.
        told = (*ledger.told, *(occasions[percent] for percent in new))
        self._write(account.name, Ledger(ledger.since, ledger.seconds, told))
        return heard

    def _path(self, account: str) -> Path:
        return self.folder / f"{account}.json"

    def _read(self, account: str) -> Ledger:
        try:
            data: Any = json.loads(self._path(account).read_text("utf-8"))
            return Ledger(float(data["since"]), dict(data["seconds"]), tuple(data["told"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return Ledger()

    def _write(self, account: str, ledger: Ledger) -> None:
        write_whole(self._path(account), json.dumps(asdict(ledger)))


def _sentence(account: str, budget: Budget, hours: float, percent: int) -> str:
    amount = "all" if percent >= 100 else f"{percent} %"
    used = f"{hours:.1f} of {budget.gpu_hours:g} GPU hours of this {budget.per}"
    return f"account {account} has used {amount} of its budget: {used}"
