"""Deleting runs and bringing them back: a deleted run is only marked, and really removed when its time is over."""

from __future__ import annotations

from dataclasses import dataclass, replace

from trainyard.core.accounts import Caller
from trainyard.core.audit.event import Action
from trainyard.core.audit.recording import about
from trainyard.core.deletions import Deletion, Deletions
from trainyard.core.runs import Order, Run
from trainyard.core.service import Service
from trainyard.domain.states import Phase
from trainyard.errors import TrainyardError

_LIST = "`trainyard list --deleted` shows what can be brought back, and until when."


@dataclass(frozen=True)
class Deleting:
    """The use cases over those of runs. For so long as the setting `deleted_keep_seconds` says a run can come back."""

    service: Service

    @property
    def _marks(self) -> Deletions:
        return self.service.catalogue.deletions

    def delete(self, model_id: str, caller: Caller, now: bool = False) -> float | None:
        """Delete a finished run; return until when it can be brought back, in seconds since the epoch, None for never.

        With `now` it is removed at once, also one that is deleted already. The bucket is left alone. Raise C108 while
        it is going.
        """
        with self.service.audit.action(caller, Action.DELETE, run=model_id) as known:
            run = self.service.found(model_id, caller, deleted=now)
            known.update(about(run))
            if run.phase is not Phase.DONE:
                hint = "It ends by itself." if run.state.terminal else "Cancel it first, then delete it."
                raise TrainyardError("C108", f"{model_id} is still going: {run.phase}", hint)
            with self._marks.locked():
                if not now and self.service.settings.deleted_keep_seconds > 0 and run.key.valid:
                    return self._mark(run, caller)
                known["details"] = {"now": True}
                self.service.forget(run)
                self._hide_training(run.training_id)
        return None

    def undelete(self, model_id: str, caller: Caller) -> Run:
        """Bring a deleted run back with all that it had.

        The schedule of its training goes on, if it stood still with it; what was due meanwhile is not made up for.
        Raise C107 where there is no such run or its time is over, C108 for one that is not deleted.
        """
        with self.service.audit.action(caller, Action.UNDELETE, run=model_id) as known, self._marks.locked():
            run = self.service.found(model_id, caller, deleted=True)
            known.update(about(run))
            mark = self._marks.of(run.key)
            if mark is None:
                raise TrainyardError("C108", f"{model_id} is not deleted", _LIST)
            if self.service.clock() > self.service.deleted_until(mark):
                message = f"the time is over in which {model_id} could be brought back"
                raise TrainyardError("C107", message, "Submit it again; what it has stored is still in its bucket.")
            self._show_training(run.training_id)
            self._marks.remove(model_id)
        return self.service.run(model_id, caller)

    def due(self) -> list[Deletion]:
        """Return the deleted runs whose time is over, those first that were deleted first."""
        now = self.service.clock()
        return [mark for mark in self._marks.all() if now > self.service.deleted_until(mark)]

    def remove(self, mark: Deletion) -> None:
        """Remove a deleted run for good, with its schedule if it is its training's last; raise C108 if it goes again.

        One that was removed in Airflow meanwhile leaves no more than its mark.
        """
        with self._marks.locked():
            if self._marks.get(mark.model_id) != mark:  # it was brought back
                return
            run = self.service.history.find(mark.model_id)
            if run is not None and run.key == mark.key:
                if run.phase is not Phase.DONE:
                    raise TrainyardError("C108", f"{run.model_id} was started again in Airflow", "It stays until then.")
                self.service.forget(run, with_schedule=True)
            self._marks.remove(mark.model_id)

    def _mark(self, run: Run, caller: Caller) -> float:
        at = self.service.clock()
        mark = self._marks.of(run.key)
        if mark is None:  # else somebody else was quicker
            last = not self._shown(run.training_id, but=run)
            mark = Deletion(run.model_id, run.training_id, caller.name, at, last)
            self._marks.keep(mark)
        return self.service.deleted_until(mark)

    def _shown(self, training_id: str, but: Run | None = None) -> bool:
        """Say whether a training has a run that is not deleted, another one than `but`."""
        hidden = self._marks.keys() | ({but.key} if but else set())
        return bool(self.service.history.page({training_id}, 1, 0, frozenset(), None, Order(), without=hidden)[1])

    def _hide_training(self, training_id: str) -> None:
        """Let a training count as deleted of which only deleted runs are left."""
        marks = self._marks.of_training(training_id)
        if marks and not self._shown(training_id):
            self._marks.keep(replace(marks[-1], last=True))

    def _show_training(self, training_id: str) -> None:
        if training_id not in self._marks.trainings():
            return
        schedules = self.service.schedules
        with schedules.locked():
            if entry := schedules.get(training_id):
                progress = replace(entry.progress, settled=self.service.clock(), waiting=None)
                schedules.keep(entry.with_progress(progress, entry.note))
        for mark in self._marks.of_training(training_id):
            self._marks.keep(replace(mark, last=False))
