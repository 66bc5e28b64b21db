"""`trainyard monitor`: the logs or the metrics of a run, or of all trainings of an experiment's run, as they come."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainyard.cli.options import EXPERIMENTS, NOUNS, Output, Url, opened

if TYPE_CHECKING:
    from trainyard.answers.documents import ExperimentRunDetails
    from trainyard.answers.runs import RunAnswer
    from trainyard.cli.output import Screen
    from trainyard.client.rest import RestClient

_STREAMS = ("logs", "metrics")
_USAGE = (
    f"Use `trainyard monitor {NOUNS[1]} ID [logs|metrics]` or "
    f"`trainyard monitor {EXPERIMENTS} EXPERIMENT RUN [logs|metrics]`."
)
# Between two looks at all trainings: each look asks once for each of them that goes on.
_POLL_SECONDS = 2.0
_MAX_POINTS = 64


def monitor(
    noun: Annotated[str, typer.Argument(metavar=f"{NOUNS[1]}|{EXPERIMENTS}", help="What to follow.")],
    words: Annotated[
        list[str], typer.Argument(metavar="ID [RUN] [logs|metrics]", help="Which one; logs if nothing else is said.")
    ],
    url: Url = None,
    output: Output = "text",
) -> None:
    """Follow the logs or the metrics of a run, or of all trainings of an experiment's run, until all have ended.

    Each line of an experiment begins with the name and the id of its training. The exit code is 1 unless all completed.
    """
    from trainyard.client.errors import WrongUsageError
    from trainyard.errors import TrainyardError

    stream = words[-1] if words[-1] in _STREAMS else _STREAMS[0]
    ids = words[:-1] if words[-1] in _STREAMS else words
    if (noun == EXPERIMENTS and len(ids) != 2) or (noun in NOUNS and len(ids) != 1):
        raise WrongUsageError(f"monitor {noun} cannot follow {' '.join(words)}", _USAGE)
    if noun not in (*NOUNS, EXPERIMENTS):
        raise WrongUsageError(f"{noun!r} cannot be followed", _USAGE)
    if noun in NOUNS:
        _one_run(ids[0], stream, url, output)
        return
    with opened(url, output) as (service, screen):
        screen.say(f"Monitoring the experiment-run '{ids[1]}' ...")
        run = _follow(service, screen, ids, stream)
    screen.data(run.as_data())
    if not run.trainings:
        raise TrainyardError("C107", f"the experiment-run {ids[1]} has no trainings any more", "Run it again.")
    if run.state != "completed":
        screen.say(f"Experiment-run '{run.id}' has ended as {run.state}")
        hint = f"`trainyard list {NOUNS[1]} {' '.join(ids)}` shows its trainings, `trainyard show ID` a reason."
        raise TrainyardError("C201", f"not all trainings of the experiment-run completed: {run.state}", hint)
    screen.say("OK", f"Experiment-run '{run.id}' is completed")


def _one_run(model_id: str, stream: str, url: str | None, output: str) -> None:
    from trainyard.cli.logs import logs
    from trainyard.cli.metrics import metrics

    if stream == "logs":
        logs(model_id, follow=True, last=None, raw=False, url=url, output=output)
    else:
        metrics(model_id, follow=True, points=None, url=url, output=output)


def _follow(service: RestClient, screen: Screen, ids: Sequence[str], stream: str) -> ExperimentRunDetails:
    """Write what is new of every training until all have ended; return the run as it is then."""
    from trainyard.cli.output import if_interrupted
    from trainyard.client.waiting import patient

    followed: dict[str, _Log | _Metrics] = {}
    with if_interrupted(f"The run goes on: `trainyard monitor {EXPERIMENTS} {' '.join(ids)}`."):
        while True:
            run = patient(lambda: service.documents.experiment_run(*ids), answered=True)()
            if run is not None:
                for training in run.trainings:
                    kind = _Log if stream == "logs" else _Metrics
                    one = followed.setdefault(training.model_id, kind(training))
                    for line in one.news(service, training):
                        _write(screen, f"[{one.name}] {line}")
                if run.ended or not run.trainings:
                    return run
            time.sleep(_POLL_SECONDS)


def _write(screen: Screen, line: str) -> None:
    """Write a line of a training to stdout, or to stderr where that has the JSON."""
    from trainyard.cli.output import printable, remark

    if screen.json:
        remark(printable(line))
    else:
        screen.say(printable(line))


class _Followed:
    """A training that is followed, by its name and id; once it has ended and was read to its end it is left alone."""

    def __init__(self, training: RunAnswer) -> None:
        from trainyard.cli.output import one_line

        self.name = one_line(f"{training.name} {training.model_id}")
        self.done = False


class _Log(_Followed):
    """Reads on in a log, and keeps the beginning of a line whose end has not come."""

    def __init__(self, training: RunAnswer) -> None:
        super().__init__(training)
        self._offset, self._begun = 0, b""

    def news(self, service: RestClient, training: RunAnswer) -> Iterator[str]:
        """Yield the lines that are new, of a training that has ended also noun has no line end."""
        if self.done or training.state == "pending":
            return
        ended = training.ended
        with service.log(training.model_id, offset=self._offset) as (_, chunks):
            for chunk in chunks:
                self._offset += len(chunk)
                *lines, self._begun = (self._begun + chunk).split(b"\n")
                yield from map(_text, lines)
        if ended and self._begun:
            yield _text(self._begun)
        self.done = ended


class _Metrics(_Followed):
    """Reads the metrics that are new."""

    def __init__(self, training: RunAnswer) -> None:
        super().__init__(training)
        self._cursor = ""

    def news(self, service: RestClient, training: RunAnswer) -> Iterator[str]:
        """Yield a line if there is anything new."""
        from trainyard.cli.metrictext import news_line

        if self.done or training.state == "pending":
            return
        ended = training.ended
        answer: Any = service.metrics(training.model_id, _MAX_POINTS, self._cursor)
        self._cursor, self.done = answer.cursor or self._cursor, ended
        if any(curve.points for curve in answer.curves) and (line := news_line(answer)):
            yield line


def _text(line: bytes) -> str:
    return line.rstrip(b"\r").decode("utf-8", "replace")
