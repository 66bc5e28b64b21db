"""Store what a run has made in its results bucket, however it ended."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from trainyard.domain.names import RunKey
from trainyard.domain.outcome import Outcome
from trainyard.domain.training import TrainingSpec
from trainyard.errors import TrainyardError
from trainyard.steps.buckets import CHECKPOINTS, LEARNER
from trainyard.steps.cleanup import has_entries
from trainyard.steps.results import layout_of, told_instead_of_log
from trainyard.stores import transfer
from trainyard.stores.base import Store, StoreError, check_key
from trainyard.stores.moving.progress import Report
from trainyard.stores.transfer import Source, Terms, Transferred
from trainyard.stores.tree import exists_inside, open_inside, scan, write_inside
from trainyard.workspace.layout import RunFolder, Workspace
from trainyard.workspace.transfers import told


def upload(
    key: RunKey,
    spec: TrainingSpec,
    account: str,
    results: Store,
    workspace: Workspace,
    zip_path: Path,
    outcome: Outcome,
    threads: int,
    report: Report,
    patience: float = 15.0,
    terms: Terms | None = None,
) -> Transferred:
    """Store logs, results and checkpoints, verified by listing; what an earlier attempt stored is not sent again.

    One part's failure does not keep the others from being stored. Raise TrainyardError S303 (results), S304 (logs),
    S305 (not all arrived), C103 (the bucket refuses) or C114 (the store is not allowed, or cannot be relied on).
    """
    run, below = workspace.run(key), f"{key.model_id}/"
    _leave_a_log(run, outcome)
    layout = layout_of(run, zip_path, outcome)
    for note in layout.notes:
        report(note)
    checkpoints = workspace.checkpoints(account, spec.results)
    send = partial(transfer.upload, results, threads=threads, report=report, patience=patience)
    parts: tuple[tuple[str, Callable[[], Transferred]], ...] = (
        ("S304", lambda: send(layout.logs, below, terms=terms)),
        ("S303", lambda: send(layout.results, below, terms=terms)),
        ("S303", lambda: send(_checkpoint_files(checkpoints, report), CHECKPOINTS, shared=True, terms=terms)),
    )
    with told(run, terms or Terms()) as terms:
        stored = _all_of(parts)
    run.root.mkdir(parents=True, exist_ok=True)
    run.stored.touch()
    report(f"{stored.files} files, {stored.bytes} bytes are in {results.place}, below {below} and {CHECKPOINTS}")
    return stored


def has_made(run: RunFolder) -> bool:
    """Say whether a run has anything of its program's to store: one that never started has only its reason."""
    return run.has_started or has_entries(run.result)


def _leave_a_log(run: RunFolder, outcome: Outcome) -> None:
    """Write the log of a program that has none, where the logs are asked for."""
    name = f"{LEARNER}/{run.training_log.name}"
    # A program may have put anything there, a link for example; then the bucket alone gets the text.
    with suppress(OSError):
        if not exists_inside(run.logs, name):
            write_inside(run.logs, name, told_instead_of_log(run, outcome).encode(errors="replace"))


def _checkpoint_files(folder: Path, report: Report) -> list[Source]:
    sources = []
    for name, size in scan(folder).files.items():
        try:
            sources.append(Source(check_key(name), size, partial(open_inside, folder, name)))
        except StoreError as error:
            report(f"the checkpoint {name} is not stored: {error.message}")
    return sources


def _all_of(parts: tuple[tuple[str, Callable[[], Transferred]], ...]) -> Transferred:
    done: list[Transferred] = []
    failures: list[TrainyardError] = []
    for code, part in parts:
        try:
            done.append(part())
        except TrainyardError as error:
            failures.append(_as(code, error))
        except OSError as error:
            message = f"{error.filename or 'a file of the run'} cannot be read: {error.strerror}"
            cure = "Let workers and training pods run as the same user, or share a group."
            failures.append(TrainyardError(code, message, cure))
    if failures:
        raise failures[0]
    return Transferred(*(sum(values) for values in zip(*(_figures(one) for one in done), strict=True)))


def _as(code: str, error: TrainyardError) -> TrainyardError:
    if error.code.code in ("C103", "C114", "S305"):
        return error
    return TrainyardError(code, error.message, error.cure)


def _figures(one: Transferred) -> tuple[float, ...]:
    return (one.files, one.bytes, one.moved_files, one.moved_bytes, one.seconds)
