"""Whose run still owns what lies on the cluster and in the workspace: asked before anything is taken."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from trainyard.core.accounts import Caller, only_admins
from trainyard.core.audit.event import Action
from trainyard.core.audit.recording import NO_AUDIT, Audit
from trainyard.domain.names import RunKey
from trainyard.errors import TrainyardError

GOING, OVER, UNKNOWN = "going", "over", "unknown"


@dataclass(frozen=True)
class Owner:
    """A run as an owner; `ended_at` is in seconds since the epoch, None unless it is over."""

    state: str
    ended_at: float | None = None


class RunEnds(Protocol):
    """The runs that Airflow has, whatever the catalogue says."""

    def ends(self, runs: Collection[RunKey]) -> dict[RunKey, float | None]: ...

    def has_runs(self) -> bool: ...


@dataclass(frozen=True)
class Owners:
    """The use case over Airflow's runs and over those that it is about to have: of new trainings, and asked for."""

    runs: RunEnds
    registered: Callable[[], Collection[RunKey]]
    audit: Audit = NO_AUDIT

    def of(self, caller: Caller, runs: Sequence[RunKey]) -> list[dict[str, Any]]:
        """Return for each run, in their order, whether it is going, is over or is unknown.

        Raise C106 for anybody but an admin, and S500 where Airflow has no run at all: its database may be another one.
        """
        with self.audit.refusals(caller, Action.ASK_OWNERS):
            only_admins(caller, "keeps house")
        if runs and not self.runs.has_runs():
            hint = "Check that it is the right database; what is left over then has to be removed by hand."
            raise TrainyardError("S500", "Airflow's database has no run of any training", hint)
        ends, registered = self.runs.ends(runs), self.registered()
        return [asdict(_owner(run, ends, registered)) for run in runs]


def _owner(run: RunKey, ends: Mapping[RunKey, float | None], registered: Collection[RunKey]) -> Owner:
    if run in ends:
        ended_at = ends[run]
        return Owner(GOING) if ended_at is None else Owner(OVER, ended_at)
    return Owner(GOING if run in registered else UNKNOWN)
