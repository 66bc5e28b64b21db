"""What a search does next, by its rules alone: how many trials it starts, and whether it is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import inf
from statistics import median
from typing import Any, TypeAlias

from trainyard.core.search.trials import Trial, TrialState, best_of
from trainyard.domain.search import SearchSpec

Curve: TypeAlias = "Sequence[tuple[int, float]]"
# Trials that are shorter have their successors asked for ahead, which then wait in the queue when they end; of longer
# ones it is worth some seconds to know how they went.
_SHORT_SECONDS = 60.0
# Checking and staging a run takes some seconds, in which trials that are shorter still use up what waits.
_VERY_SHORT_SECONDS = 5.0
# A point whose run the infrastructure took is tried so often in all.
MAX_ATTEMPTS = 3


@dataclass(frozen=True)
class Ledger:
    """What people have asked of a search, and what of its trials is no longer to be found in their runs.

    `more` trials were added; `over` says why it is, for people, and `note` what keeps it from starting any; `asked` is
    how many were. `ended` are trials that have, by number, `seen` curves of those that go on and `attrs` what
    samplers want to find again; `stopping` are steps at which trials were given up, and `stored` is how many had ended
    when the study was stored last, at `stored_at`; at `refused_at` it could not be. `told` says that people were told
    of its end. One that was over and got more trials is judged again: by those from
    the number `anew_from` on, and its hours from `anew_at`.
    """

    paused: bool = False
    canceled: bool = False
    more: int = 0
    began_at: float = 0.0
    over: str = ""
    over_at: float | None = None
    ended: Mapping[int, Trial] = field(default_factory=dict)
    attrs: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    note: str = ""
    asked: int = 0
    seen: Mapping[int, Curve] = field(default_factory=dict)
    stopping: Mapping[int, int] = field(default_factory=dict)
    stored: int = -1
    stored_at: float = 0.0
    refused_at: float = 0.0
    told: bool = False
    anew_from: int = 0
    anew_at: float = 0.0

    @property
    def clock_at(self) -> float:
        """From when its hours count."""
        return max(self.began_at, self.anew_at)

    def as_dict(self) -> dict[str, Any]:
        ended = {str(number): trial.as_dict() for number, trial in self.ended.items()}
        rest = {name: _by_text(getattr(self, name)) for name in ("attrs", "seen", "stopping")}
        return {**asdict(self), "ended": ended, **rest}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Ledger:
        """Read a ledger back; keys this version does not know are dropped."""
        known = {key: value for key, value in data.items() if key in cls.__dataclass_fields__}
        parts = {
            "ended": {int(number): Trial.from_dict(trial) for number, trial in data.get("ended", {}).items()},
            "attrs": _by_number(data.get("attrs", {})),
            "seen": {
                number: tuple((int(step), float(value)) for step, value in curve)
                for number, curve in _by_number(data.get("seen", {})).items()
            },
            "stopping": {number: int(step) for number, step in _by_number(data.get("stopping", {})).items()},
        }
        return cls(**{**known, **parts})

    def with_ended(self, trials: Sequence[Trial]) -> Ledger:
        """Return a ledger that has all that has ended."""
        ended = {trial.number: replace(trial, attrs={}) for trial in trials if trial.state.ended}
        going = {number: curve for number, curve in self.seen.items() if number not in ended}
        return replace(self, ended={**self.ended, **ended}, seen=going)


def _by_text(found: Mapping[int, Any]) -> dict[str, Any]:
    return {str(number): value for number, value in found.items()}


def _by_number(found: Mapping[str, Any]) -> dict[int, Any]:
    return {int(number): value for number, value in found.items()}


def total_of(search: SearchSpec, ledger: Ledger) -> int:
    return search.trials + ledger.more


def why_over(search: SearchSpec, ledger: Ledger, trials: Sequence[Trial], now: float) -> str:
    """Return why a search starts no trial any more, for people; empty while it goes on."""
    judged = [trial for trial in trials if trial.number >= ledger.anew_from]
    stop, goal, best = search.stop, search.goal, best_of(judged, search.goal)
    if ledger.canceled:
        return "it was canceled"
    if best and stop.value is not None and (best.value == stop.value or goal.better(best.value or 0.0, stop.value)):
        return f"{search.metric} has reached {stop.value:g}"
    if stop.hours is not None and now - ledger.clock_at >= stop.hours * 3600:
        return f"{stop.hours:g} hours have passed"
    failed = sum(1 for trial in judged if trial.state is TrialState.FAILED)
    if stop.failures is not None and failed >= stop.failures:
        return f"{failed} trials have failed"
    if stop.stale is not None and (stale := _stale(search, trials, ledger.anew_from)) >= stop.stale:
        return f"{stale} trials in a row were no better"
    if len(trials) >= total_of(search, ledger) and all(trial.state.ended for trial in trials):
        return "all its trials have ended"
    return ""


def _stale(search: SearchSpec, trials: Sequence[Trial], anew_from: int) -> int:
    """Return how many of the trials that ended last, from a number on, were no better than the best before them."""
    ended = sorted((one for one in trials if one.state.ended), key=lambda one: (one.ended_at or 0.0, one.number))
    best, stale = None, 0
    for trial in ended:
        if trial.counts and (best is None or search.goal.better(trial.value or 0.0, best)):
            best, stale = trial.value, 0
        elif trial.state in (TrialState.COMPLETED, TrialState.STOPPED) and trial.number >= anew_from:
            stale += 1
    return stale if best is not None else 0


def wanted(search: SearchSpec, ledger: Ledger, trials: Sequence[Trial], room: float) -> int:
    """Return how many trials are to be started now; `room` is how many its account has GPUs for at once.

    A trial whose results are being stored has its successor, but not for ever: a store that takes nothing would
    have all trials wait for it.
    """
    if ledger.paused or ledger.over:
        return 0
    asked = max((trial.number for trial in trials), default=-1) + 1
    length = _length(trials)
    short, most = length < _SHORT_SECONDS, search.parallel + _ahead(search, length, room)
    going = [trial for trial in trials if not trial.state.ended]
    trained = sum(1 for trial in going if trial.storing and (short or trial.value is not None))
    return max(0, min(total_of(search, ledger) - asked, most - len(going) + min(trained, search.parallel)))


def _ahead(search: SearchSpec, length: float, room: float) -> int:
    """Return how many trials wait in the queue beside those that go on, so that no GPU waits for the search.

    None where the account has GPUs for them: they would train beside the others, and more at once than may.
    """
    if length >= _SHORT_SECONDS or room > search.parallel:
        return 0
    return max(2, search.parallel) if length < _VERY_SHORT_SECONDS else max(1, search.parallel // 2)


def _length(trials: Sequence[Trial]) -> float:
    """Return how many seconds the programs of trials run; without an end as long as none has ended."""
    return median([seconds for trial in trials if (seconds := trial.seconds) is not None] or [inf])


def seconds_left(search: SearchSpec, ledger: Ledger, trials: Sequence[Trial], now: float) -> float | None:
    """Return about how long a search still takes, in seconds; None where nothing says, or it is over."""
    lengths = [seconds for trial in trials if (seconds := trial.seconds) is not None]
    if ledger.over or ledger.paused or not lengths:
        return None
    left = total_of(search, ledger) - sum(1 for trial in trials if trial.state.ended)
    seconds = median(lengths) * -(-left // search.parallel)
    if search.stop.hours is not None:
        seconds = min(seconds, max(0.0, ledger.clock_at + search.stop.hours * 3600 - now))
    return seconds
