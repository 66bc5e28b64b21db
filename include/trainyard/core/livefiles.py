"""The use case of a run's results while it goes: what lies in its RESULT_DIR at this moment."""

from __future__ import annotations

import heapq
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from trainyard.core.accounts import Caller
from trainyard.core.audit.event import Action
from trainyard.core.audit.recording import Audit, about
from trainyard.core.runs import Run
from trainyard.errors import TrainyardError
from trainyard.stores.tree import is_text, open_inside, walk
from trainyard.workspace.layout import Workspace

MAX_LOOKED = 100_000


@dataclass(frozen=True)
class Listed:
    """A page of a folder: names with sizes, in their order, and how many entries are no files that can be had.

    `more` says whether others follow; `whole` whether all of the folder was looked at.
    """

    files: list[tuple[str, int]]
    others: int
    more: bool
    whole: bool


@dataclass(frozen=True)
class LiveFiles:
    """The use case over its ports; `find_run` returns a run that a caller may see.

    A program may do with its folder what it likes meanwhile: no link is followed, and nothing but files is opened.
    """

    find_run: Callable[[str, Caller], Run]
    workspace: Workspace
    audit: Audit

    def page(self, model_id: str, caller: Caller, limit: int, after: str = "") -> Listed:
        """Return the files whose names follow `after`. Raise TrainyardError C107 or, for one that has ended, C108."""
        with self.audit.action(caller, Action.LIST_RESULTS, run=model_id) as known:
            run = self._going(model_id, caller)
            known.update(about(run))
        return _page(self.workspace.run(run.key).result, limit, after)

    def opened(self, model_id: str, caller: Caller, name: str) -> BinaryIO:
        """Open a file to be read; raise as `page` does, and C107 where there is none of that name any more."""
        details = {"name": name}
        with self.audit.action(caller, Action.READ_RESULT, run=model_id, details=details) as known:
            run = self._going(model_id, caller)
            known.update(about(run))
            try:
                if not name or any(part in ("", ".", "..") for part in name.split("/")):
                    raise FileNotFoundError(name)
                return open_inside(self.workspace.run(run.key).result, name)
            except OSError:
                hint = "It may have been there a moment ago: list the files again."
                raise TrainyardError("C107", f"{model_id} has no such file now", hint) from None

    def _going(self, model_id: str, caller: Caller) -> Run:
        run = self.find_run(model_id, caller)
        if run.state.terminal:
            hint = f"What it has made is stored: `trainyard download {model_id}`."
            raise TrainyardError("C108", f"{model_id} has ended: {run.state}", hint)
        return run


def _page(folder: Path, limit: int, after: str) -> Listed:
    """Return a page, with no more of it in memory than that, however many files there are."""
    found, counts = islice(walk(folder), MAX_LOOKED + 1), Counter[str]()

    def files() -> Iterator[tuple[str, int]]:
        for name, status in found:
            counts["looked"] += 1
            if not (stat.S_ISREG(status.st_mode) and is_text(name)):
                counts["others"] += 1
            elif name > after:
                yield name, status.st_size

    first = heapq.nsmallest(limit + 1, files())
    return Listed(first[:limit], counts["others"], len(first) > limit, counts["looked"] <= MAX_LOOKED)
