"""A run's log to its end, over connections that break."""

from __future__ import annotations

import codecs
import time
from collections.abc import Iterable, Iterator

from trainyard.client.errors import UnreachableError
from trainyard.client.rest import RestClient
from trainyard.client.waiting import Patience, pauses

# A connection that stood this long was a good one: a proxy cuts what is silent, and a waiting run is.
_LASTED_SECONDS = 20.0


def whole_log(service: RestClient, model_id: str, last: int | None = None) -> Iterator[bytes]:
    """Yield what there is of the log now; with `last` only so many lines."""
    with service.log(model_id, last=last) as (_, chunks):
        yield from chunks


def followed_log(service: RestClient, model_id: str, last: int | None = None) -> Iterator[bytes]:
    """Yield the log until the service says it is complete, each byte once; with `last` it begins with so many lines."""
    place: int | None = None
    patience, pause = Patience(service.has_answered), pauses()
    while True:
        begun = time.monotonic()
        wanted = {"last": last} if place is None else {"offset": place}
        try:
            with service.log(model_id, follow=True, **wanted) as (place, chunks):
                for chunk in chunks:
                    place += len(chunk)
                    patience.answered()
                    pause = pauses()
                    yield chunk
        except UnreachableError:
            if time.monotonic() - begun > _LASTED_SECONDS:
                patience.answered()
            if patience.is_over:
                raise
            time.sleep(next(pause))
        else:
            return


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
