"""How a run stands whose program runs in several pods: one outcome, folded from what each of its learners says."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from trainyard.cluster.diagnosis import outcome_of
from trainyard.cluster.diagnosis.endings import find_row
from trainyard.cluster.diagnosis.row import Row
from trainyard.cluster.diagnosis.status import Facts, clean, read_status
from trainyard.domain.outcome import Outcome

# Moments of the status are whole seconds, and a node's clock is not quite the API server's.
_CLOCKS_SECONDS = 2.0
# What a learner ends by that was stopped, or has lost its peers, because of another one.
_STOPPED = ("gone", "deleted", "told-to-stop", "killed", "signal", "exit-code", "aborted", "image-does-not-arrive")
_OUT_OF_MEMORY = "C202"

Pod = Mapping[str, Any]


@dataclass(frozen=True)
class Patience:
    """Seconds that learners with a node wait for those without, and that the others may go on after the `lead`.

    That is the number of the one whose good end is the run's: the first, or the first that is no parameter server.
    """

    placement: float = 60.0
    first: float = 60.0
    lead: int = 1


@dataclass(frozen=True)
class Verdict:
    """Where a run stands: its `outcome` once that is decided, and the learners that are `going` and have to be ended.

    `learner` is the one whose end is the run's.

    `missing` says what some learners still lack whose peers have had their nodes for too long; all are to be taken back
    then. All three are empty while there is nothing to do.
    """

    outcome: Outcome | None = None
    going: tuple[int, ...] = ()
    missing: str = ""
    learner: int = 1


@dataclass(frozen=True)
class _Learner:
    """One learner: its number, what its pod says, and the way it ended, None while it has not."""

    number: int
    facts: Facts
    row: Row | None

    @property
    def failed(self) -> bool:
        return self.row is not None and self.row.code is not None

    @property
    def ended_at(self) -> float | None:
        return self.facts.finished_at or self.facts.disrupted_at


def judge(
    pods: Sequence[Pod | None], gpus: int, memory: int, patience: Patience, now: float, stopped: Collection[int] = ()
) -> Verdict:
    """Judge a run by the pods of all its learners in their order, None for one that is gone.

    `gpus` and `memory` (in bytes) are those of one learner; `now` is in seconds since the epoch. One learner that fails
    decides for all; one learner alone is judged as `diagnose` does. Those that whoever asks has `stopped` after another
    one are no reason for anything.
    """
    learners = [_learner(number, pod, gpus, memory, now) for number, pod in enumerate(pods, 1)]
    going = tuple(one.number for one in learners if one.row is None)
    lead = learners[patience.lead - 1]
    if cause := _cause(learners, lead, stopped):
        return Verdict(_failure(cause, learners), going, learner=cause.number)
    late = _late(learners, lead)
    if not going:
        return Verdict(_success(learners, lead, late))
    if lead.row is not None and late:
        over = lead.ended_at is None or now - lead.ended_at > patience.first or late[-1].number < lead.number
        leaving = all(one.facts.gone or one.facts.deleting for one in late)
        return Verdict(_success(learners, lead, late), going) if over or leaving else Verdict()
    return Verdict(missing=_missing(learners, patience, now))


def waits_for(pods: Sequence[Pod], reasons: Sequence[str]) -> str:
    """Say what a run of several learners waits for, by what each of its pods waits for; empty once all run."""
    waiting = [(number, reason) for number, reason in enumerate(reasons, 1) if reason]
    if not waiting:
        return ""
    number, reason = waiting[0]
    placed = len(pods) - len(waiting)
    return f"{placed} of {len(pods)} learners are there; learner {number}: {reason}"


def _learner(number: int, pod: Pod | None, gpus: int, memory: int, now: float) -> _Learner:
    facts = read_status(pod, gpus, memory, now)
    row = find_row(facts)
    return _Learner(number, facts, row if row is not None and row.final else None)


def _cause(learners: Sequence[_Learner], lead: _Learner, stopped: Collection[int]) -> _Learner | None:
    """Return the learner whose end is the run's, None where none has failed by itself.

    What the infrastructure did comes before what programs say: those of the others fail as soon as they miss a peer. So
    does a lack of memory. Else the first failure counts, and the rest are what came of it.
    """
    failed = [one for one in learners if one.failed]
    moments = [one.ended_at for one in failed if one.ended_at is not None and not one.facts.deleting]
    if lead.row is not None and not lead.failed and lead.ended_at is not None:
        moments.append(lead.ended_at)  # whoever still runs then is stopped
    anchor = min(moments, default=None)
    causes = [one for one in failed if not (_is_end_of_stopped(one, stopped) or _is_consequence(one, anchor))]
    return min(causes, key=_rank, default=None)


def _is_end_of_stopped(one: _Learner, stopped: Collection[int]) -> bool:
    return one.number in stopped and one.row is not None and one.row.name in _STOPPED


def _is_consequence(one: _Learner, anchor: float | None) -> bool:
    """Say whether a learner was stopped after another's end: it is going on request, or gone."""
    if anchor is None or one.row is None or one.row.name not in _STOPPED:
        return False
    if one.facts.gone:
        return True
    asked = one.facts.deletion_asked_at
    return asked is not None and asked >= anchor - _CLOCKS_SECONDS


def _rank(one: _Learner) -> tuple[int, float, int]:
    code = (one.row and one.row.code) or ""
    kind = 0 if code.startswith("S") else 1 if code == _OUT_OF_MEMORY else 2
    # Of several that were deleted the first one to be asked, however long each has taken over its end.
    moment = one.facts.deletion_asked_at or one.ended_at if kind == 0 else one.ended_at
    return kind, moment or float("inf"), one.number


def _late(learners: Sequence[_Learner], lead: _Learner) -> list[_Learner]:
    """Return the learners that go on, or went on until they were stopped, after the lead has ended well."""
    return [one for one in learners if one is not lead and (one.row is None or one.failed)]


def _failure(cause: _Learner, learners: Sequence[_Learner]) -> Outcome:
    if cause.row is None:
        raise AssertionError("a learner that has not ended is no cause")
    outcome = outcome_of(cause.row, cause.facts)
    if len(learners) == 1:
        return outcome
    return replace(_summed(outcome, learners), message=f"learner {cause.number} of {len(learners)}: {outcome.message}")


def _success(learners: Sequence[_Learner], lead: _Learner, late: Sequence[_Learner]) -> Outcome:
    if lead.row is None:
        raise AssertionError("a run whose lead has not ended is no success")
    if len(learners) == 1:
        return outcome_of(lead.row, lead.facts)
    warnings = list(dict.fromkeys(one.facts.warnings for one in learners if one.facts.warnings))
    # That a server of parameters is stopped is how it ends.
    if stopped := [one.number for one in late if one.number > lead.number]:
        names = ", ".join(map(str, stopped))
        what = f"learners {names} were" if len(stopped) > 1 else f"learner {names} was"
        whose = "the first one" if lead.number == 1 else f"learner {lead.number}"
        warnings.insert(0, f"{what} stopped: {whose} had ended")
    return replace(_summed(Outcome(exit_code=lead.facts.exit_code), learners), message="; ".join(warnings))


def _summed(outcome: Outcome, learners: Sequence[_Learner]) -> Outcome:
    """Add up what all learners held; one that is gone without a word counts as the one that held its GPUs longest."""
    held = [one.facts.gpu_seconds for one in learners if not one.facts.gone]
    missing = len(learners) - len(held)
    starts, ends = list(_moments(learners, "started_at")), list(_moments(learners, "finished_at"))
    return replace(
        outcome,
        gpu_seconds=sum(held) + missing * max(held, default=0.0),
        started_at=min(starts, default=None),
        finished_at=max(ends, default=None),
    )


def _moments(learners: Sequence[_Learner], name: str) -> Iterator[float]:
    yield from (moment for one in learners if (moment := getattr(one.facts, name)) is not None)


def _missing(learners: Sequence[_Learner], patience: Patience, now: float) -> str:
    """Say what learners without a node lack, once others have had theirs for too long; else nothing."""
    placed = [one.facts.scheduled_at for one in learners if one.facts.scheduled_at is not None]
    without = [one for one in learners if one.facts.scheduled_at is None and one.facts.phase in ("", "Pending")]
    if not placed or not without or now - min(placed) <= patience.placement:
        return ""
    why = next((clean(one.facts.unscheduled) for one in without if one.facts.unscheduled), "the cluster has no room")
    return f"{len(placed)} of {len(learners)} learners have a node, learner {without[0].number} has none: {why}"
