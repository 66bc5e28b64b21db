"""What a shell offers to complete: runs, experiments and states, and nothing where the service is slow or away."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainyard.answers.runs import RunAnswer
    from trainyard.client.rest import RestClient

# Somebody has pressed a key and waits.
_SECONDS = 2.0
_NEWEST = 200
_PREFIX = "training-"


def run_words(incomplete: str) -> list[tuple[str, str]]:
    """Offer the newest runs by their ids; behind a first letter also by the short ids and the names."""
    runs = _asked(lambda service: service.runs(limit=_NEWEST))
    words = [pair for run in reversed(runs) for pair in _words_of(run, bool(incomplete))]
    return _those([*words, ("@last", "the newest run of yours")], incomplete)


def experiment_words(incomplete: str) -> list[tuple[str, str]]:
    """Offer the experiments of the newest runs."""
    runs = _asked(lambda service: service.runs(limit=_NEWEST))
    return _those([(run.experiment, "experiment") for run in reversed(runs) if run.experiment], incomplete)


def state_words(incomplete: str) -> list[str]:
    """Offer the states, also behind a comma."""
    from trainyard.domain.states import State

    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{state}" for state in State if state.startswith(last)]


def _words_of(run: RunAnswer, more: bool) -> Iterator[tuple[str, str]]:
    about = f"{run.name}, {run.state}"
    yield run.model_id, about
    if more:
        yield run.model_id.removeprefix(_PREFIX), about
        yield run.name, run.model_id


def _those(words: Sequence[tuple[str, str]], incomplete: str) -> list[tuple[str, str]]:
    """Keep what goes on from what was typed, each once; a word with a line end or an escape is no word of a shell."""
    found = {word: about for word, about in reversed(words) if word.startswith(incomplete) and word.isprintable()}
    return [(word, about if about.isprintable() else "") for word, about in reversed(found.items())]


def _asked(question: Callable[[RestClient], list[RunAnswer]]) -> list[RunAnswer]:
    """Ask the service, for a moment and without a word of what went wrong."""
    import threading

    found: list[RunAnswer] = []

    def ask() -> None:
        with suppress(Exception):
            found.extend(_with_service(question))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_SECONDS)
    return list(found)


def _with_service(question: Callable[[RestClient], list[RunAnswer]]) -> list[RunAnswer]:
    import os
    from pathlib import Path

    from trainyard.client.access import find_access
    from trainyard.client.rest import RestClient

    with RestClient(find_access(None, os.environ, Path.cwd())) as service:
        return question(service)
