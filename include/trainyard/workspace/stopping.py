"""Runs that the service ends early: a mark beside the folders of the run, where no program reaches it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from trainyard.domain.outcome import Outcome
from trainyard.stores.tree import write_inside
from trainyard.workspace.layout import RunFolder

_MAX_WORDS = 200


def mark_stopped(run: RunFolder, words: str) -> None:
    """Note that a run is ended early, and in which words its outcome says so; done again, the first words stay."""
    if run.root.is_dir() and not run.stopped.exists():
        write_inside(run.root, run.stopped.name, words[:_MAX_WORDS].encode())


def words_of_stop(run: RunFolder) -> str:
    """Return the words with which the service has ended a run early; empty where it did not."""
    with suppress(OSError):
        return run.stopped.read_text("utf-8", "replace")[:_MAX_WORDS]
    return ""


def as_stopped(run: RunFolder, outcome: Outcome) -> Outcome:
    """Return how a run ended: what was stopped early is completed, whatever its program made of the signal.

    Of a cluster that was silent nobody knows whether the program still runs.
    """
    words = words_of_stop(run)
    if not words or outcome.code is None or outcome.code == "S200":
        return outcome
    return replace(outcome, code=None, message=words, hint="")
