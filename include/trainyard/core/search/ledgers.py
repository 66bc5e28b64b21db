"""The ledgers of searches: `searches/<training id>.json` beside the records.

While a search may still start or end a trial its id stands in `searches/active/` too, so that a listing says whether
there is work. A ledger that is lost is made again from the runs, all but what people have asked of the search.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainyard.core.search.deciding import Ledger
from trainyard.core.wholefiles import write_whole
from trainyard.domain.names import is_model_id
from trainyard.workspace.locks import locked

log = logging.getLogger(__name__)
# The folder of all ledgers, in the catalogue's.
SEARCHES = "searches"


class Ledgers:
    """The ledgers in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._active = folder / "active"

    def active(self) -> set[str]:
        """Return the trainings whose search is not over, from a folder's listing alone."""
        with contextlib.suppress(FileNotFoundError):
            return {name for name in os.listdir(self._active) if is_model_id(name)}
        return set()

    def ids(self) -> set[str]:
        """Return the trainings that have a ledger."""
        with contextlib.suppress(FileNotFoundError):
            return {name[:-5] for name in os.listdir(self._folder) if name.endswith(".json") and name[0] != "."}
        return set()

    def get(self, training_id: str) -> Ledger | None:
        """Return a ledger; None where there is none, or it is broken, which is logged."""
        if not is_model_id(training_id):  # whoever asks may write anything
            return None
        try:
            return Ledger.from_dict(json.loads(self._path(training_id).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            log.error("the ledger of %s cannot be read and is made again: %r", training_id, error)  # noqa: TRY400
            return None

    def keep(self, training_id: str, ledger: Ledger, *, active: bool = True) -> None:
        """Write a ledger, and whether there is anything left to do for its search."""
        self._active.mkdir(parents=True, exist_ok=True)
        if active:  # first: a death between leaves a look too many, never one too few
            (self._active / training_id).touch()
        write_whole(self._path(training_id), json.dumps(ledger.as_dict(), sort_keys=True))
        if not active:
            (self._active / training_id).unlink(missing_ok=True)

    def remove(self, training_id: str) -> None:
        (self._active / training_id).unlink(missing_ok=True)
        self._path(training_id).unlink(missing_ok=True)
        (self._folder / f".{training_id}.lock").unlink(missing_ok=True)

    @contextmanager
    def locked(self, training_id: str) -> Iterator[None]:
        """Hold one search; whoever else wants to change or settle it waits. A holder's death frees it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with locked(self._folder / f".{training_id}.lock"):
            yield

    def _path(self, training_id: str) -> Path:
        return self._folder / f"{training_id}.json"
