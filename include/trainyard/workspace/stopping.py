"""Runs that the service ends early: a mark beside the folders of the run, where no program reaches it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from trainyard.domain.outcome import Outcome
from trainyard.domain.watchdogs import STOP_HINT, STOPPED
from trainyard.stores.tree import write_inside
from trainyard.workspace.layout import RunFolder

_MAX_WORDS = 200


def mark_stopped(run: RunFolder, words: str, code: str = "") -> None:
    """Note that a run is ended early, and in which words its outcome says so; done again, the first words stay.

    Without a code it is completed then.
    """
    if run.root.is_dir() and not run.stopped.exists():
        text = " ".join(words.split())[:_MAX_WORDS]
        write_inside(run.root, run.stopped.name, f"{text}\n{code}".rstrip().encode())


def words_of_stop(run: RunFolder) -> str:
    """Return the words with which the service has ended a run early; empty where it did not."""
    with suppress(OSError):
        return run.stopped.read_text("utf-8", "replace").partition("\n")[0][:_MAX_WORDS]
    return ""


def _code_of_stop(run: RunFolder) -> str | None:
    with suppress(OSError):
        return run.stopped.read_text("utf-8", "replace").partition("\n")[2] or None
    return None


def as_stopped(run: RunFolder, outcome: Outcome) -> Outcome:
    """Return how a run ended: what was stopped early is so by the mark, whatever its program made of the signal.

    Of a cluster that was silent nobody knows whether the program still runs.
    """
    words = words_of_stop(run)
    if not words or outcome.code is None or outcome.code == "S200":
        return outcome
    code = _code_of_stop(run)
    return replace(outcome, code=code, message=words, hint=STOP_HINT if code == STOPPED else "")
