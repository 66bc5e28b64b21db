"""What the REST interface does with schedules and searches: what starts runs by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainyard.answers.runs import ScheduleAnswer, SchedulePage
from trainyard.answers.searches import SearchAnswer, SearchesSettled
from trainyard.answers.service import Looked, Settled
from trainyard.client.calls import Calls, place_of


class PlannedCalls(Calls):
    """The calls about schedules and searches."""

    def schedules(self) -> list[ScheduleAnswer]:
        """Return the schedules, the next due first."""
        return self._all(SchedulePage, "/v3/schedules", "training_id")

    def schedule(self, training_id: str) -> ScheduleAnswer:
        return self._session.ask(ScheduleAnswer, "GET", place_of(training_id, "schedules"))

    def change_schedule(self, training_id: str, state: str) -> ScheduleAnswer:
        """Bring a schedule into a state: `paused`, `active`, or for good `ended`."""
        change = [{"op": "replace", "path": "/state", "value": state}]
        return self._session.ask(ScheduleAnswer, "PATCH", place_of(training_id, "schedules"), json=change)

    def search(self, name: str) -> SearchAnswer:
        """Return a search by its experiment, its training or one of its trials."""
        return self._session.ask(SearchAnswer, "GET", place_of(name, "searches"))

    def change_search(self, name: str, state: str) -> SearchAnswer:
        """Bring a search into a state: `paused`, `running`, or for good `canceled`."""
        change = [{"op": "replace", "path": "/state", "value": state}]
        return self._session.ask(SearchAnswer, "PATCH", place_of(name, "searches"), json=change)

    def extend_search(self, name: str, trials: int) -> SearchAnswer:
        """Give a search so many trials more."""
        change = [{"op": "add", "path": "/trials", "value": trials}]
        return self._session.ask(SearchAnswer, "PATCH", place_of(name, "searches"), json=change)

    def start_due(self) -> Settled:
        """Start every scheduled run that is due; return which, and which data has to be looked at."""
        return self._session.ask(Settled, "POST", "/v3/schedules/due")

    def report_look(self, training_id: str, due: float, seen: Mapping[str, Any]) -> str | None:
        """Say which version of its data a training has, or why that is not known; return the run that this started."""
        place = f"{place_of(training_id, 'schedules')}/looks"
        return self._session.ask(Looked, "POST", place, json={"due": due, **seen}).started

    def settle_searches(self) -> float | None:
        """Start and end trials as their searches say; return after how many seconds to look again."""
        return self._session.ask(SearchesSettled, "POST", "/v3/searches/due").again_seconds
