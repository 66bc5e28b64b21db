"""A run's log to its end, over connections that break."""

from __future__ import annotations

import codecs
import time
from collections.abc import Iterable, Iterator

from trainyard.answers.metrics import MetricsAnswer
from trainyard.client.errors import UnreachableError
from trainyard.client.rest import RestClient
from trainyard.client.waiting import MAX_ATTEMPTS, pauses

# A connection that stood this long was a good one: a proxy cuts what is silent, and a waiting run is.
_LASTED_SECONDS = 20.0


def whole_log(service: RestClient, model_id: str, last: int | None = None) -> Iterator[bytes]:
    """Yield what there is of the log now; with `last` only so many lines."""
    with service.log(model_id, last=last) as (_, chunks):
        yield from chunks


def followed_log(service: RestClient, model_id: str, last: int | None = None) -> Iterator[bytes]:
    """Yield the log until the service says it is complete, each byte once; with `last` it begins with so many lines."""
    place: int | None = None
    attempts, pause = MAX_ATTEMPTS, pauses()
    while True:
        begun = time.monotonic()
        wanted = {"last": last} if place is None else {"offset": place}
        try:
            with service.log(model_id, follow=True, **wanted) as (place, chunks):
                for chunk in chunks:
                    place += len(chunk)
                    attempts, pause = MAX_ATTEMPTS, pauses()
                    yield chunk
        except UnreachableError:
            attempts = MAX_ATTEMPTS if time.monotonic() - begun > _LASTED_SECONDS else attempts - 1
            if not attempts:
                raise
            time.sleep(next(pause))
        else:
            return


def followed_metrics(service: RestClient, model_id: str, points: int | None = None) -> Iterator[MetricsAnswer]:
    """Yield a run's curves, then what is new of them, until the run has ended, over connections that break."""
    cursor = ""
    attempts, pause = MAX_ATTEMPTS, pauses()
    while True:
        begun = time.monotonic()
        try:
            with service.metric_events(model_id, points, cursor) as lines:
                for kind, data in _events(lines):
                    if kind == "end":
                        return
                    answer = MetricsAnswer.model_validate_json(data)
                    cursor, attempts, pause = answer.cursor, MAX_ATTEMPTS, pauses()
                    yield answer
            failure = UnreachableError("the service broke off before the run had ended", "Try again.")
        except UnreachableError as error:
            failure = error
        attempts = MAX_ATTEMPTS if time.monotonic() - begun > _LASTED_SECONDS else attempts - 1
        if not attempts:
            raise failure
        time.sleep(next(pause))


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
