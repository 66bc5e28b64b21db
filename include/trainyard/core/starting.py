"""Starting one more run of a registered training: checked as a whole, kept as a file, and made in Airflow once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

from trainyard.core.accounts import Caller, may_see, only_admins
from trainyard.core.audit.event import Action
from trainyard.core.audit.recording import NO_AUDIT, Audit
from trainyard.core.catalogue import Catalogue, Training
from trainyard.core.idempotency import Claim, claimed, give_up
from trainyard.core.starts import Kind, Start
from trainyard.domain.limits import Limits
from trainyard.domain.names import new_model_id
from trainyard.domain.overrides import fault_of, overridden, overrides
from trainyard.domain.plan import connection_problems, plan_problems
from trainyard.errors import Problem, TrainyardError

log = logging.getLogger(__name__)
_ABANDONED_SECONDS = 24 * 3600.0


class StartedRuns(Protocol):
    """The runs that Airflow has."""

    def make(self, start: Start) -> bool:
        """Make a run unless it is there; return False where Airflow does not know the training yet."""


@dataclass(frozen=True)
class Asked:
    """One more run of a training, as it is asked for.

    `values` are hyperparameters, `size` and `command` by name, and take the place of the manifest's. `model_id` is an
    id that was claimed before, empty for a fresh one; the same id again is the same run. `owner` is whom the service
    starts it for, empty for the caller. `data_version` and `image` are those that it has to have, empty for any; `name`
    is the run's own.
    """

    training_id: str
    values: Mapping[str, Any] = field(default_factory=dict)
    kind: Kind = Kind.RERUN
    parent: str = ""
    trial: int | None = None
    model_id: str = ""
    owner: str = ""
    data_version: str = ""
    resume: bool = False
    image: str = ""
    name: str = ""


@dataclass(frozen=True)
class Starting:
    """The use case over its ports."""

    catalogue: Catalogue
    runs: StartedRuns
    limits: Callable[[], Limits]
    clock: Callable[[], float]
    audit: Audit = NO_AUDIT

    def start(self, asked: Asked, caller: Caller, key: str = "") -> Start:
        """Start a run and return it; the same idempotency key of the same account gets the same run again.

        Raise TrainyardError: C107 for a training that the caller may not see, C106 for who starts runs for others,
        C110 and C104 with every value that the run cannot have, C108 for a key or an id that another run has.
        """
        details = {"kind": asked.kind, "parent": asked.parent, "trial": asked.trial, "idempotency_key": key}
        with self.audit.action(caller, Action.START, training=asked.training_id, details=details) as known:
            training = self._training(asked.training_id, caller)
            known["account"] = training.account
            if asked.owner and asked.owner != caller.name:
                only_admins(caller, "starts runs for others")
            folder = self.catalogue.folder
            with claimed(folder, training.account, _claim(key)) if key else nullcontext() as claim:
                start = self._kept(training, asked, caller, key, claim)
            known["run"] = start.model_id
        self.make(start)
        return start

    def settle(self, caller: Caller) -> list[str]:
        """Make the runs that were asked for and that Airflow does not have yet; return their ids.

        Raise C106 for anybody but an admin.
        """
        with self.audit.refusals(caller, Action.START):
            only_admins(caller, "starts what is due", "The service does so by itself.")
        pending = map(self.catalogue.starts.get, sorted(self.catalogue.starts.pending()))
        return [start.model_id for start in pending if start and self.make(start)]

    def make(self, start: Start) -> bool:
        """Make a run in Airflow; return whether it is there. One that cannot be made yet stays pending."""
        if not self.catalogue.record_path(start.training_id).exists():
            # It is being registered, or that was broken off.
            if self.clock() - start.started_at > _ABANDONED_SECONDS:
                self.catalogue.starts.remove(start.model_id)
            return False
        try:
            made = self.runs.make(start)
        except Exception:
            # The run is registered: whoever asked for it has its id, and the next look makes it.
            log.exception("%s cannot be made in Airflow yet", start.model_id)
            return False
        if made:
            self.catalogue.starts.settle(start.model_id)
        return made

    def _training(self, training_id: str, caller: Caller) -> Training:
        training = self.catalogue.get(training_id)
        if training is None or not may_see(caller, training.account, self.limits()):
            hint = "`trainyard list` shows the runs there are, and each has its training's id."
            raise TrainyardError("C107", f"there is no training {training_id}", hint)
        return training

    def _kept(self, training: Training, asked: Asked, caller: Caller, key: str, claim: Claim | None) -> Start:
        """Keep the start, or find the one that the key or the id stands for already."""
        claimed_id = claim.ids[0] if claim and claim.ids else asked.model_id
        wanted = Start(
            model_id=claimed_id or new_model_id(),
            training_id=training.id,
            owner=asked.owner or caller.name,
            started_at=self.clock(),
            values=overrides(training.spec, asked.values),
            kind=asked.kind,
            parent=asked.parent,
            trial=asked.trial,
            origin=key,
            data_version=asked.data_version,
            resume=asked.resume,
            image=asked.image,
            name=asked.name,
        )
        known = self.catalogue.starts.get(claimed_id) if claimed_id else None
        if known is None:
            check_values(training, asked.values, self.limits())
            self._check_id(wanted.model_id)
            if claim and not claim.ids:
                claim.take([wanted.model_id])
            known = self.catalogue.starts.add(wanted)
        if not known.asks_as(wanted):
            message = "this idempotency key was used for another run" if key else f"{known.model_id} is another run"
            raise TrainyardError("C108", message, "Use a new key for each run.")
        return known

    def _check_id(self, model_id: str) -> None:
        if self.catalogue.get(model_id):
            raise TrainyardError("C108", f"{model_id} is the first run of a training", "Use a new id for each run.")


def check_values(training: Training, given: Mapping[str, Any], limits: Limits) -> None:
    """Raise TrainyardError with everything that hinders a run with these values, for its account as it is now."""
    faults = {name: fault_of(training.spec, training.sizes, name, value) for name, value in given.items()}
    problems = [
        Problem(message, hint, path=name, seen=str(given[name])[:60], code="C110")
        for name, fault in faults.items()
        if fault
        for message, hint in [fault]
    ]
    usable = {name: value for name, value in given.items() if not faults[name]}
    spec, _ = overridden(training.spec, training.plan, training.sizes, usable)
    account = limits.accounts.get(training.account)
    if account is None:
        gone = Problem(f"there is no account {training.account} any more.", "Submit it to another one.", code="C104")
        problems.append(gone)
    else:
        problems += plan_problems(spec.framework, spec.resources, account, limits)
        problems += connection_problems(spec, account)
    if problems:
        raise TrainyardError(problems[0].code, "the run cannot be started", "Fix what is listed.", problems)


def forget_start(catalogue: Catalogue, start: Start, account: str) -> None:
    """Forget that a run was asked for; its idempotency key is free again."""
    catalogue.starts.remove(start.model_id)
    if start.origin:
        with claimed(catalogue.folder, account, _claim(start.origin)):
            give_up(catalogue.folder, account, _claim(start.origin))


def _claim(key: str) -> str:
    # No key that comes in a header has this sign, so that the same key may submit a training and start a run.
    return f"start\0{key}"
