"""One pass over the inbox: everything that is complete now is submitted, a bounded number at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from trainyard.errors import TrainyardError
from trainyard.inbox.drops import INBOX, Drop, drops_of
from trainyard.inbox.marks import Kind, Mark, delete_moved, read_marks
from trainyard.inbox.submitting import DropResult, DropSubmitter
from trainyard.stores.base import Store, StoreError, Why

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Seen:
    """The inbox at one moment."""

    drops: tuple[Drop, ...]
    marks: tuple[Mark, ...]

    def unchanged(self, since: Seen) -> tuple[Drop, ...]:
        """Return the drops that are the same as at an earlier look."""
        before = {(drop.place, drop.fingerprint) for drop in since.drops}
        return tuple(drop for drop in self.drops if (drop.place, drop.fingerprint) in before)


def look(store: Store) -> Seen:
    # Marks first: a drop that is marked between the two listings is seen without its mark, and submitted once more.
    marks = read_marks(store)
    return Seen(tuple(drops_of(store.list(INBOX))), marks)


def submit_all(submitter: DropSubmitter, settle: Callable[[], object], threads: int) -> tuple[list[DropResult], int]:
    """Submit all drops that are the same before and after `settle`.

    Return what became of them and how many failed by no fault of their own: those stay, and are reported in the log.
    """
    for mark in read_marks(submitter.store):
        if mark.kind is Kind.MOVED:
            _finish(submitter.store, mark)
    before = look(submitter.store)
    settle()
    seen = look(submitter.store)
    ready = [drop for drop in seen.unchanged(before) if submitter.needed(drop, seen.marks)]
    with ThreadPoolExecutor(max(threads, 1)) as pool:
        results = list(pool.map(lambda drop: _submit(submitter, drop, seen.marks), ready))
    _tidy(submitter.store)
    done = [each for each in results if each]
    return done, len(results) - len(done)


def _submit(submitter: DropSubmitter, drop: Drop, marks: tuple[Mark, ...]) -> DropResult | None:
    try:
        result = submitter.submit(drop, marks)
    except StoreError as error:
        # Another pass was faster, or its owner took the drop back.
        if error.why is Why.NO_KEY:
            return DropResult(drop.place, "changed")
        log.warning("%s stays: %s. %s", drop.place, error, error.hint)
        return None
    except TrainyardError as error:
        log.warning("%s stays: %s. %s", drop.place, error, error.hint)
        return None
    except Exception:
        # One drop that breaks its submission must not hold up the others.
        log.exception("%s stays", drop.place)
        return None
    log.info("%s", result)
    return result


def _finish(store: Store, mark: Mark) -> None:
    """End what an earlier pass began; another one may be doing the same."""
    try:
        delete_moved(store, mark)
    except StoreError as error:
        if error.why is not Why.NO_KEY:
            raise


def _tidy(store: Store) -> None:
    """Remove marks about files that are not there any more."""
    seen = look(store)
    for mark in seen.marks:
        if mark.kind is not Kind.MOVED and not any(mark.about(drop) for drop in seen.drops):
            with suppress(StoreError):
                store.delete(mark.key)
