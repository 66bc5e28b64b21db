"""Let the dag-processor parse a file in a time that does not grow with their number, and outlive what removes many."""

from __future__ import annotations

import functools
from typing import Any


def install() -> None:
    """Mend the manager of this dag-processor; a second time is harmless."""
    from airflow.dag_processing.manager import DagFileProcessorManager

    _shorten_repr(DagFileProcessorManager)
    _tolerate_removals(DagFileProcessorManager)


def _tolerate_removals(manager: Any) -> None:
    """Let the look for removed files pass over DAGs that another process deletes at that moment.

    Seen on 3.3.2: housekeeping deletes the DAGs of trainings while the manager marks the same ones as stale; its UPDATE
    then finds fewer rows than it had read (StaleDataError), and the whole dag-processor ends. The next look is right.
    """
    if hasattr(manager.deactivate_deleted_dags, "__wrapped__"):
        return
    as_usual = manager.deactivate_deleted_dags

    @functools.wraps(as_usual)
    def tolerant(self: Any, *args: Any, **kwargs: Any) -> None:
        from sqlalchemy.orm.exc import StaleDataError

        try:
            as_usual(self, *args, **kwargs)
        except StaleDataError as error:
            self.log.warning("DAGs were deleted while they were looked at; they are looked at again: %s", error)

    manager.deactivate_deleted_dags = tolerant


def _shorten_repr(manager: Any) -> None:
    """Give the manager a short repr.

    Every child that parses a file takes back the manager's signal handlers first, and Python's `signal.signal` makes
    and drops the repr of a handler that it is given: of the manager with all that it knows of all files, twice a file.
    Among 400 files that was a tenth of the parsing.
    """
    manager.__repr__ = object.__repr__
