"""A run's log to its end, over connections that break."""

from __future__ import annotations

import codecs
import queue
import threading
import time
from collections.abc import Iterable, Iterator, Sequence

from trainyard.answers.metrics import MetricsAnswer
from trainyard.client.errors import UnreachableError
from trainyard.client.rest import RestClient
from trainyard.client.waiting import Patience

# More of fast learners than anybody reads is not held in memory.
_MAX_LINES_AHEAD = 1000


def whole_log(service: RestClient, model_id: str, last: int | None = None, learner: int = 1) -> Iterator[bytes]:
    """Yield what there is of a learner's log now; with `last` only so many lines."""
    with service.log(model_id, last=last, **_of(learner)) as (_, chunks):
        yield from chunks


def followed_log(service: RestClient, model_id: str, last: int | None = None, learner: int = 1) -> Iterator[bytes]:
    """Yield a learner's log until the service says it is complete, each byte once.

    With `last` it begins with so many lines.
    """
    place: int | None = None
    patience = Patience(service.has_answered)
    while True:
        begun = time.monotonic()
        wanted = {"last": last} if place is None else {"offset": place}
        try:
            with service.log(model_id, follow=True, **wanted, **_of(learner)) as (place, chunks):
                for chunk in chunks:
                    place += len(chunk)
                    patience.answered()
                    yield chunk
        except UnreachableError as failure:
            patience.pause(failure, time.monotonic() - begun)
        else:
            return


def _of(learner: int) -> dict[str, int]:
    # The first one's is what a service of before knows too.
    return {"learner": learner} if learner != 1 else {}


def interleaved(logs: Sequence[Iterator[bytes]]) -> Iterator[bytes]:
    """Yield the logs of several learners line by line as they come, each line with the learner's number in front.

    What breaks off one of them is raised once it has come so far.
    """
    lines: queue.Queue[tuple[int, str | BaseException | None]] = queue.Queue(_MAX_LINES_AHEAD)

    def read(number: int, chunks: Iterator[bytes]) -> None:
        end: BaseException | None = None
        try:
            for line in lines_of(chunks):
                lines.put((number, line))
        except BaseException as error:  # noqa: BLE001 - it is raised where somebody hears of it
            end = error
        lines.put((number, end))

    for number, chunks in enumerate(logs, 1):
        threading.Thread(target=read, args=(number, chunks), daemon=True, name=f"learner-{number}").start()
    left = len(logs)
    while left:
        number, line = lines.get()
        if isinstance(line, BaseException):
            raise line
        if line is None:
            left -= 1
        else:
            yield f"[{number}] {line}\n".encode()


def followed_metrics(service: RestClient, model_id: str, points: int | None = None) -> Iterator[MetricsAnswer]:
    """Yield a run's curves, then what is new of them, until the run has ended, over connections that break."""
    cursor, patience = "", Patience(service.has_answered)
    while True:
        begun = time.monotonic()
        try:
            with service.metric_events(model_id, points, cursor) as lines:
                for kind, data in _events(lines):
                    if kind == "end":
                        return
                    answer = MetricsAnswer.model_validate_json(data)
                    cursor = answer.cursor
                    patience.answered()
                    yield answer
            failure = UnreachableError("the service broke off before the run had ended", "Try again.")
        except UnreachableError as error:
            failure = error
        patience.pause(failure, time.monotonic() - begun)


def _events(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each event's kind and data; a comment that only keeps the connection is none."""
    kind, data = "", ""
    for line in lines:
        field, _, value = line.partition(": ")
        if not line and kind:
            yield kind, data
            kind, data = "", ""
        elif field == "event":
            kind = value
        elif field == "data":
            data = value


def lines_of(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield a log's lines as text without their ends, as soon as each is whole."""
    decoder, begun = codecs.getincrementaldecoder("utf-8")("replace"), list[str]()
    for chunk in chunks:
        first, *others = decoder.decode(chunk).split("\n")
        begun.append(first)
        if others:
            yield "".join(begun)
            *whole, last = others
            yield from whole
            begun = [last]
    if rest := "".join([*begun, decoder.decode(b"", final=True)]):
        yield rest
