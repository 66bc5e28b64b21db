"""What a list of runs is asked for, as its address says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trainyard.core.runs import Filter, Key, Order
from trainyard.domain.states import State

_DAY_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Asked:
    """What the page's address asks for."""

    q: str = ""
    experiment: str = ""
    account: str = ""
    owner: str = ""
    framework: str = ""
    state: tuple[str, ...] = ()
    today: bool = False
    sort: Key = Key.SUBMITTED
    up: bool = False
    page: int = 1
    deleted: bool = False

    @property
    def order(self) -> Order:
        return Order(self.sort, descending=not self.up)

    def filter(self, now: float) -> Filter:
        since = now - _DAY_SECONDS if self.today else None
        states = frozenset(map(State, self.state))
        return Filter(states, self.q, self.experiment, self.framework, since, self.account, self.owner, self.deleted)

    def values(self) -> dict[str, Any]:
        """Return what is not as usual, as an address has it."""
        return {
            "q": self.q,
            "experiment": self.experiment,
            "account": self.account,
            "owner": self.owner,
            "framework": self.framework,
            "state": list(self.state),
            "today": "1" if self.today else "",
            "sort": self.sort.value if self.sort is not Key.SUBMITTED else "",
            "up": "1" if self.up else "",
            "deleted": "1" if self.deleted else "",
        }

    @property
    def narrowed(self) -> bool:
        texts = (self.q, self.experiment, self.account, self.owner, self.framework)
        return any((*texts, self.state, self.today, self.deleted))
