"""A search, as the Python API has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trainyard.answers.searches import SearchAnswer
from trainyard.client.naming import best_of
from trainyard.client.rest import RestClient
from trainyard.client.run import Run, Runs, table_html
from trainyard.client.waiting import patient, wait_until

_OVER = ("over", "canceled")


class Experiment:
    """A search for the best hyperparameters. `id` is that of its training; `warnings` are those of its submission.

    Every property asks the service. Every method raises TrainyardError for what the service refuses.
    """

    def __init__(self, service: RestClient, training_id: str, warnings: Sequence[str] = ()) -> None:
        self.id = training_id
        self.warnings = tuple(warnings)
        self._service = service

    @property
    def info(self) -> SearchAnswer:
        """All that the service reports of the search, as `trainyard experiments show` has it."""
        return self._service.search(self.id)

    @property
    def state(self) -> str:
        """`running`, `paused`, `over` or `canceled`."""
        return self.info.state

    @property
    def best(self) -> Run:
        """The run of the best trial; raise C111 where no trial has a value yet."""
        return Run(self._service, best_of(self._service, self.id))

    @property
    def runs(self) -> Runs:
        """The runs of all trials, in their order."""
        return Runs(Run(self._service, trial.model_id) for trial in self.info.trials)

    @property
    def importances(self) -> dict[str, float]:
        """How much each hyperparameter matters, 1 in all; empty while nothing is known."""
        return self.info.importances

    def dataframe(self) -> Any:
        """Return the trials: a pandas DataFrame where pandas is there, else a list of dicts.

        Each row is a trial, with `number`, `model_id`, `state`, `value`, the times, and a column for each
        hyperparameter.
        """
        rows = [_row(trial.as_data()) for trial in self.info.trials]
        try:
            import pandas
        except ImportError:
            return rows
        return pandas.DataFrame(rows)

    def wait(self, timeout: float | None = None) -> Experiment:
        """Wait until the search is over and return it; a service that is started again is waited for.

        Raise TimeoutError if it goes on after `timeout` seconds.
        """

        def look() -> SearchAnswer | None:
            found = self.info
            going = any(found.counts.get(state) for state in ("waiting", "running"))
            return found if found.state in _OVER and not going else None

        if wait_until(patient(look, self._service.has_answered), timeout) is None:
            raise TimeoutError(f"{self.id} goes on after {timeout:g} seconds")
        return self

    def pause(self) -> None:
        """Start no trial any more until it is resumed."""
        self._service.change_search(self.id, "paused")

    def resume(self) -> None:
        """Go on with a search that was paused."""
        self._service.change_search(self.id, "running")

    def cancel(self) -> None:
        """End the search; programs that run are ended, and what they have made is stored."""
        self._service.change_search(self.id, "canceled")

    def extend(self, trials: int) -> None:
        """Give the search so many trials more, also where it is over."""
        self._service.extend_search(self.id, trials)

    def __repr__(self) -> str:
        return f"<Experiment {self.id}>"

    def _repr_html_(self) -> str:
        rows = [_row(trial.as_data()) for trial in self.info.trials]
        names = list(dict.fromkeys(name for row in rows for name in row)) or ["trial"]
        return table_html(names, [[str(row.get(name, "")) for name in names] for row in rows])


def _row(trial: dict[str, Any]) -> dict[str, Any]:
    point = trial.pop("point", {})
    return {**trial, **{name if name not in trial else f"{name}_": value for name, value in point.items()}}
