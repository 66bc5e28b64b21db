"""Which file of a run goes where in the results bucket."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

from trainyard.domain.outcome import Outcome
from trainyard.steps.buckets import LEARNER
from trainyard.stores.base import StoreError, check_key
from trainyard.stores.transfer import Source
from trainyard.stores.tree import open_inside, scan
from trainyard.workspace.layout import RunFolder

RENAMED = "renamed/"
TENSORBOARD = "logs/tb"


@dataclass
class Layout:
    """The files of a run with their keys below `<model id>/`, and notes on what is renamed or cannot be stored."""

    logs: list[Source] = field(default_factory=list)
    results: list[Source] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _taken: set[str] = field(default_factory=set)

    def add(self, group: list[Source], key: str, size: int, opened: Callable[[], BinaryIO]) -> None:
        """Give a file its key, or one below `renamed/` where the key, or a folder of its name, is taken."""
        free = key
        while self._is_taken(free):
            free = RENAMED + free
        if free != key:
            self.notes.append(f"{key} is stored as {free}, since something else has that name")
        self._taken.update(_ways(free))
        self._taken.add(f"{free}/")
        group.append(Source(free, size, opened))

    def add_text(self, group: list[Source], key: str, text: str) -> None:
        data = text.encode(errors="replace")
        self.add(group, key, len(data), lambda: io.BytesIO(data))

    def add_folder(self, group: list[Source], folder: Path, key_of: Callable[[str], str], only: str = "") -> None:
        """Add the regular files of a folder whose names start with `only`.

        Links and the like get a note, since they can lead anywhere.
        """
        found = scan(folder)
        for name, what in found.others.items():
            if name.startswith(only):
                self.notes.append(f"{folder.name}/{name} is not stored: it {what}")
        for name, size in found.files.items():
            if name.startswith(only):
                self._add_file(group, key_of(name), folder, name, size)

    def _add_file(self, group: list[Source], key: str, folder: Path, name: str, size: int) -> None:
        try:
            check_key(key)
        except StoreError as error:
            self.notes.append(f"{folder.name}/{name} is not stored: {error.message}")
        else:
            self.add(group, key, size, partial(open_inside, folder, name))

    def _is_taken(self, key: str) -> bool:
        # A file is taken as `a/b/`, the folders that lead to it as `a`: so neither can become the other.
        return f"{key}/" in self._taken or key in self._taken or any(f"{way}/" in self._taken for way in _ways(key))


def layout_of(run: RunFolder, zip_path: Path, outcome: Outcome) -> Layout:
    """Lay out logs, results, TensorBoard summaries and the submitted zip as the 2017 service did.

    Logs come first: they keep their names, and a result that would take one of them is renamed.
    """
    layout = Layout()
    layout.add_text(layout.logs, f"{LEARNER}/outcome.txt", told(outcome))
    layout.add_folder(layout.logs, run.logs, lambda name: f"{LEARNER}/{name.removeprefix(LEARNER + '/')}")
    if f"{LEARNER}/training-log.txt" not in {source.key for source in layout.logs}:
        layout.add_text(layout.logs, f"{LEARNER}/training-log.txt", told_instead_of_log(run, outcome))
    layout.add_folder(layout.results, run.result, lambda name: name)
    # Not scanned from `logs/tb` on: a program can make `logs` a link.
    layout.add_folder(layout.results, run.state, lambda name: name, only=f"{TENSORBOARD}/")
    if zip_path.is_file():
        size = zip_path.stat().st_size
        layout.add(layout.results, "_submitted_code/model.zip", size, lambda: zip_path.open("rb"))
    if layout.notes:
        layout.add_text(layout.logs, f"{LEARNER}/store-results.log", "\n".join([*layout.notes, ""]))
    return layout


def told(outcome: Outcome) -> str:
    """Write how the run ended for somebody who has only the bucket."""
    if outcome.code is None:
        return "\n".join([f"completed{outcome.message and f'; warning: {outcome.message}'}", ""])
    exit_code = [] if outcome.exit_code is None else [f"exit code {outcome.exit_code}"]
    return "\n".join([f"{outcome.state}: {outcome.message} ({outcome.code})", *exit_code, outcome.cure, ""])


def told_instead_of_log(run: RunFolder, outcome: Outcome) -> str:
    """Write the training log of a run whose program has left none."""
    if run.has_started:
        return f"The training program has left no log.\n{told(outcome)}"
    return f"The training program has not run.\n{told(outcome)}"


def _ways(key: str) -> list[str]:
    return [key[:end] for end, letter in enumerate(key) if letter == "/"]
