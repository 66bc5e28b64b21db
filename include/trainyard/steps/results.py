"""Which file of a run goes where in the results bucket."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from trainyard.cluster.volumes import JOB
from trainyard.domain.leftout import LeftOut
from trainyard.domain.outcome import Outcome
from trainyard.steps.buckets import LEARNER
from trainyard.stores.base import StoreError, check_key
from trainyard.stores.links import Ground, open_linked, scan_linked
from trainyard.stores.transfer import Source
from trainyard.workspace.layout import RunFolder
from trainyard.workspace.metrics.stored import NAME as METRICS

RENAMED = "renamed/"
NOTES = f"{LEARNER}/store-results.log"
# Control characters and what XML cannot hold; what rclone takes for control characters, and what it marks them with.
_LOST = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u2400-\\u2421\\u201b\\ufffe\\uffff]")
TENSORBOARD = "logs/tb"


@dataclass
class Layout:
    """The files of a run with their keys below `<model id>/`, what is left out of them, and what is renamed."""

    logs: list[Source] = field(default_factory=list)
    results: list[Source] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    renamed: list[str] = field(default_factory=list)
    _taken: set[str] = field(default_factory=set)

    @property
    def notes(self) -> list[str]:
        return [*map(str, self.left_out), *self.renamed]

    def add(self, group: list[Source], key: str, size: int, opened: Callable[[], BinaryIO]) -> None:
        """Give a file its key, or one below `renamed/` where the key, or a folder of its name, is taken.

        Characters that stores do not keep are escaped.
        """
        kept = escaped(key)
        free = kept
        while self._is_taken(free):
            free = RENAMED + free
        if kept != key:
            self.renamed.append(f"{printed(key)} is stored as {free}, since stores do not keep such characters")
        elif free != key:
            self.renamed.append(f"{key} is stored as {free}, since something else has that name")
        self._taken.update(_ways(free))
        self._taken.add(f"{free}/")
        group.append(Source(free, size, opened))

    def add_text(self, group: list[Source], key: str, text: str) -> None:
        data = text.encode(errors="replace")
        self.add(group, key, len(data), lambda: io.BytesIO(data))

    def add_folder(
        self, group: list[Source], ground: Ground, top: str, key_of: Callable[[str], str], only: str = ""
    ) -> None:
        """Add the files of a folder whose names start with `only`, with what links inside the ground lead to."""
        found = scan_linked(ground, top)
        for name, what in found.others.items():
            if name.startswith(only):
                self.left_out.append(LeftOut(printed(f"{top}/{name}"), what))
        for name, size in found.files.items():
            if name.startswith(only):
                self._add_file(group, key_of(name), ground, f"{top}/{name}", size)

    def _add_file(self, group: list[Source], key: str, ground: Ground, name: str, size: int) -> None:
        try:
            check_key(escaped(key))
        except StoreError as error:
            self.left_out.append(LeftOut(printed(name), f"cannot have its name in the bucket: {error.message}"))
        else:
            self.add(group, key, size, partial(open_linked, ground, name))

    def _is_taken(self, key: str) -> bool:
        # A file is taken as `a/b/`, the folders that lead to it as `a`: so neither can become the other.
        return f"{key}/" in self._taken or key in self._taken or any(f"{way}/" in self._taken for way in _ways(key))


def layout_of(run: RunFolder, zip_path: Path, outcome: Outcome, manifest: str = "") -> Layout:
    """Lay out logs, results, TensorBoard summaries and the submitted zip as the 2017 service did.

    Logs come first: they keep their names, and a result that would take one of them is renamed.
    """
    layout, ground = Layout(), ground_of(run)
    layout.add_text(layout.logs, f"{LEARNER}/outcome.txt", reported(outcome))
    layout.add_folder(layout.logs, ground, run.logs.name, lambda name: f"{LEARNER}/{name.removeprefix(LEARNER + '/')}")
    if f"{LEARNER}/training-log.txt" not in {source.key for source in layout.logs}:
        layout.add_text(layout.logs, f"{LEARNER}/training-log.txt", reason_instead_of_log(run, outcome))
    for number in run.learners[1:]:
        _add_learner(layout, run.of_learner(number), f"learner-{number}")
    if run.metrics_stored.is_file():
        stored = run.metrics_stored
        layout.add(layout.logs, METRICS, stored.stat().st_size, lambda: stored.open("rb"))
    layout.add_folder(layout.results, ground, run.result.name, lambda name: name)
    layout.add_folder(layout.results, ground, run.state.name, lambda name: name, only=f"{TENSORBOARD}/")
    if zip_path.is_file():
        size = zip_path.stat().st_size
        layout.add(layout.results, "_submitted_code/model.zip", size, lambda: zip_path.open("rb"))
    if manifest:
        layout.add_text(layout.results, "_submitted_code/manifest.yml", manifest)
    return layout


def _add_learner(layout: Layout, run: RunFolder, name: str) -> None:
    """Lay out the logs and TensorBoard summaries of a learner after the first; links lead nowhere else."""
    ground = Ground(run.root, (run.logs.name, run.state.name), (JOB,))
    layout.add_folder(layout.logs, ground, run.logs.name, lambda key: f"{name}/{key.removeprefix(name + '/')}")
    layout.add_folder(layout.results, ground, run.state.name, lambda key: f"{name}/{key}", only=f"{TENSORBOARD}/")


def ground_of(run: RunFolder) -> Ground:
    """Return where links of a run's program may lead: its own folders, by their paths in the pod too."""
    return Ground(run.root, tuple(folder.name for folder in run.folders), (JOB,))


def escaped(key: str) -> str:
    """Return the key with the characters that stores lose, or turn into others, as percent escapes of their bytes."""
    return _LOST.sub(lambda found: quote(found[0]), key)


def printed(name: str) -> str:
    """Return a name on one line, with what does not print as escapes."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in name)


def reported(outcome: Outcome) -> str:
    """Write how the run ended for somebody who has only the bucket."""
    if outcome.code is None:
        return "\n".join([f"completed{outcome.message and f'; warning: {outcome.message}'}", ""])
    exit_code = [] if outcome.exit_code is None else [f"exit code {outcome.exit_code}"]
    return "\n".join([f"{outcome.state}: {outcome.message} ({outcome.code})", *exit_code, outcome.hint, ""])


def reason_instead_of_log(run: RunFolder, outcome: Outcome) -> str:
    """Write the training log of a run whose program has left none."""
    if run.has_started:
        return f"The training program has left no log.\n{reported(outcome)}"
    return f"The training program has not run.\n{reported(outcome)}"


def _ways(key: str) -> list[str]:
    return [key[:end] for end, letter in enumerate(key) if letter == "/"]
