"""A run, as the Python API has it."""

from __future__ import annotations

import os
import secrets
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from trainyard.answers.diffs import RunsDiff
from trainyard.answers.metrics import MetricsAnswer
from trainyard.answers.runs import RunAnswer, RunDetails, RunOutcome
from trainyard.client.commands import Command, ExecResult
from trainyard.client.download import Target, check_stored, fetch_all
from trainyard.client.downloadnow import fetch_now
from trainyard.client.following import followed_log, lines_of, whole_log
from trainyard.client.rest import RestClient
from trainyard.client.waiting import patient, wait_until

POINT_COLUMNS = ("metric", "source", "step", "time", "value")
_MAX_POINTS = 10_000


class Run:
    """A run of a training. `id` is its model id; `warnings` are those of its submission.

    `state`, `phase`, `outcome` and `info` ask the service, until the run has ended. Every method raises TrainyardError
    for what the service refuses, with code C107 if there is no such run any more, and its subclass UnreachableError
    if the service does not answer.
    """

    def __init__(
        self, service: RestClient, run_id: str, seen: RunAnswer | None = None, warnings: Sequence[str] = ()
    ) -> None:
        self.id = run_id
        self.warnings = tuple(warnings)
        self._service = service
        self._seen = seen
        self._details: RunDetails | None = None

    @property
    def info(self) -> RunDetails:
        """All that the service reports of the run, as `trainyard show` has it."""
        if self._details is None or not self._is_final(self._details):
            self._seen = self._details = self._service.run(self.id)
        return self._details

    @property
    def state(self) -> str:
        """`pending`, `running`, `completed`, `error` or `canceled`."""
        return self.info.state

    @property
    def phase(self) -> str:
        """`queued`, `validating`, `staging`, `waiting-for-gpu`, `installing`, `training`, `storing`, `done`."""
        return self.info.phase

    @property
    def outcome(self) -> RunOutcome | None:
        """How it ended: `code` (None after success), `message`, `hint`, `exit_code`, `gpu_seconds`; None until then."""
        return self.info.outcome

    @property
    def ended(self) -> bool:
        """Whether nothing of it goes on any more."""
        return self.info.ended

    def wait(self, timeout: float | None = None, progress: bool | None = None) -> Run:
        """Wait until the run has ended, however it ends, and return it; a service that is started again is waited for.

        `progress` says on stderr what the run does whenever that changes; by default on a terminal and in a notebook.
        Raise TimeoutError if it goes on after `timeout` seconds.
        """
        report = _PhaseReport(_is_watched() if progress is None else progress)

        def look() -> RunDetails | None:
            found = self.info
            report.show(found)
            return found if found.ended else None

        if wait_until(patient(look, self._service.has_answered), timeout) is None:
            raise TimeoutError(f"{self.id} goes on after {timeout:g} seconds")
        return self

    def logs(self, follow: bool = False, last: int | None = None, learner: int = 1) -> Iterator[str]:
        """Yield the lines that the program wrote, without their ends; with `last` no more than so many of them.

        Of several learners they are those of `learner`, which counts from 1.

        With `follow` they come as they are written, until the run has ended, over connections that break.
        """
        read = followed_log if follow else whole_log
        return lines_of(read(self._service, self.id, last, learner))

    def metrics(self, points: int | None = None) -> Any:
        """Return the run's metrics: a pandas DataFrame where pandas is there, else a list of dicts.

        Each row is a point, with `metric`, `source`, `step`, `time` (seconds since the epoch, or None) and `value`. Of
        a curve there are `points` at most, 10,000 by default; its ends and peaks are always among them.
        """
        rows = point_rows(self._service.metrics(self.id, points or _MAX_POINTS))
        try:
            import pandas
        except ImportError:
            return rows
        return pandas.DataFrame(rows, columns=list(POINT_COLUMNS))

    def download(self, folder: str | os.PathLike[str] | None = None, force: bool = False, now: bool = False) -> Path:
        """Download what the run has stored, by default into a folder named as the run; return the folder.

        With `now` it is what lies in RESULT_DIR at this moment, while the run goes on, by default in a folder named as
        the run with `-now`; what changed while it was read is warned of.

        What is there already is not fetched again. Raise C108 if the run goes on, C107 if it has stored nothing, and
        WrongUsageError for files that are there and differ, unless `force`.
        """
        if now:
            target = Path(folder if folder is not None else f"{self.id}-now")
            for note in fetch_now(self._service, self.id, Target(target), force or folder is None)[1]:
                warnings.warn(note, stacklevel=2)
            return target
        target = Path(folder if folder is not None else self.id)
        check_stored(self._service, self.id)
        fetch_all(self._service, self.id, Target(target), force)
        return target

    def exec(self, command: Sequence[str] | str, *, input: bytes | str = b"", learner: int = 1) -> ExecResult:  # noqa: A002
        """Run a command beside the program, in its container; return its `exit_code`, `stdout`, `stderr` and `output`.

        A text is a command of the shell. Of several learners it is the container of `learner`, which counts from 1.
        Raise C108 unless the program runs, and C106 for a run of somebody else's that was given secrets.
        """
        words = ["sh", "-c", command] if isinstance(command, str) else list(command)
        content = input.encode() if isinstance(input, str) else input
        return self._service.execute(self.id, Command(words, bool(content), learner=learner), content)

    def rerun(
        self,
        *,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - as on the command line
        size: str | None = None,
        command: str | None = None,
        exact: bool = False,
        resume: bool = False,
        name: str | None = None,
    ) -> Run:
        """Start a run from the same zip and manifest, with this one's values and what is changed of them; return it.

        With `exact` on the version of the data and with the image that this one had; raise C117 if one is not there
        any more. With `resume` it goes on from the newest complete checkpoint that this one has stored. `name` is what
        the new run is called, as its training by default. Raise C110 and C104 with every value that it cannot have.
        """
        changes = {"set": dict(set or {}), "size": size, "command": command, "exact": exact, "resume": resume}
        asked = {field: value for field, value in {**changes, "name": name}.items() if value}
        answer = self._service.rerun(self.id, asked, f"python-{secrets.token_hex(16)}")
        return Run(self._service, answer.model_id)

    def diff(self, other: Run | str) -> RunsDiff:
        """Return what differs between this run and another one; `same` of it says whether nothing does."""
        return self._service.diff(self.id, other.id if isinstance(other, Run) else other)

    def cancel(self) -> None:
        """Stop the run; what it has made so far is still stored. Raise C108 if it has ended."""
        self._seen = self._service.cancel(self.id)

    def delete(self, *, now: bool = False) -> None:
        """Delete the run from the history; its bucket is left alone. Raise C108 if it goes on.

        `undelete` brings it back for a day, or as long as the service is set to keep it; `now` removes it at once.
        """
        self._service.delete(self.id, now)

    def undelete(self) -> None:
        """Bring the run back after `delete`. Raise C107 where its time is over, C108 where it is not deleted."""
        self._seen = None
        self._service.undelete(self.id)

    def __repr__(self) -> str:
        return f"<Run {' '.join(text for _, text in self.cells() if text)}>"

    def _repr_html_(self) -> str:
        return table_html([name for name, _ in self.cells()], [[text for _, text in self.cells()]])

    def cells(self) -> list[tuple[str, str]]:
        """Return what is known of the run without asking, as names and texts."""
        seen = self._seen
        if seen is None:
            return [("run", self.id)]
        reason = seen.outcome.message if seen.outcome and seen.outcome.code else seen.waiting or ""
        return [
            ("run", self.id),
            ("name", seen.name),
            ("state", seen.state),
            ("phase", "" if seen.ended else seen.phase),
            ("note", reason),
        ]

    @staticmethod
    def _is_final(seen: RunDetails) -> bool:
        return seen.ended and seen.outcome is not None


def point_rows(answer: MetricsAnswer) -> list[dict[str, Any]]:
    """Return the points of all curves, one below the other."""
    return [
        dict(zip(POINT_COLUMNS, (curve.name, curve.source, *point), strict=True))
        for curve in answer.curves
        for point in curve.points
    ]


class Runs(list[Run]):
    """Runs, the oldest first; a notebook shows them as a table."""

    def _repr_html_(self) -> str:
        rows = [dict(run.cells()) for run in self]
        names = list(dict.fromkeys(name for row in rows for name in row)) or ["run"]
        return table_html(names, [[row.get(name, "") for name in names] for row in rows])


class _PhaseReport:
    """Says what a run does whenever that changes."""

    def __init__(self, speaks: bool) -> None:
        self._speaks = speaks
        self._reported = ""

    def show(self, run: RunDetails) -> None:
        line = f"{run.model_id}: {run.state if run.ended else run.waiting or run.phase}"
        if self._speaks and line != self._reported:
            print(line if line.isprintable() else ascii(line), file=sys.stderr, flush=True)
        self._reported = line


def table_html(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a small table; whatever a name or a message holds is text in it."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _is_watched() -> bool:
    return "ipykernel" in sys.modules or sys.stderr.isatty()
