"""Store what a run has made in its results bucket, however it ended."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from trainyard.domain.leftout import LeftOut
from trainyard.domain.metricrules import rules_of
from trainyard.domain.names import RunKey
from trainyard.domain.outcome import Outcome
from trainyard.domain.training import TrainingSpec
from trainyard.errors import TrainyardError
from trainyard.steps.buckets import CHECKPOINTS, LEARNER
from trainyard.steps.checkpoints import checkpoint_files, names_to_keep, note_of_newest
from trainyard.steps.results import NOTES, Layout, layout_of, printed, reason_instead_of_log
from trainyard.stores import transfer
from trainyard.stores.base import Store
from trainyard.stores.moving.progress import Report
from trainyard.stores.transfer import Source, Terms, Transferred
from trainyard.stores.tree import exists_inside, write_inside
from trainyard.workspace.layout import RunFolder, Workspace
from trainyard.workspace.metrics.readings import read_whole
from trainyard.workspace.metrics.stored import to_lines
from trainyard.workspace.transfers import reported


@dataclass(frozen=True)
class Stored:
    """What lies in the bucket now, what of the run's files does not, and the last and best values of its metrics."""

    moved: Transferred
    left_out: tuple[LeftOut, ...]
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


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
    manifest: str = "",
) -> Stored:
    """Store logs, results and checkpoints, verified by listing; what an earlier attempt stored is not sent again.

    `manifest` is the one that the run has trained with, as people may see it.

    One part's failure does not keep the others from being stored. Raise TrainyardError S303 (results), S304 (logs),
    S305 (not all arrived), C103 (the bucket refuses) or C114 (the store is not allowed, or cannot be relied on).
    """
    run, below = workspace.run(key), f"{key.model_id}/"
    _leave_a_log(run, outcome)
    metrics = _read_metrics(run, spec, report)
    layout = layout_of(run, zip_path, outcome, manifest)
    shared = spec.checkpoint.shared
    place = CHECKPOINTS if shared else f"{below}{CHECKPOINTS}"
    folder = workspace.checkpoints_of(key, account, spec)
    checkpoints = checkpoint_files(layout, folder, names_to_keep(spec, folder, run, outcome))
    resume = [] if shared else list(filter(None, [note_of_newest(folder, run)]))
    for note in layout.notes:
        report(note)
    send = partial(transfer.upload, results, threads=threads, report=report, patience=patience)
    parts: tuple[tuple[str, Callable[[], Transferred]], ...] = (
        ("S304", lambda: _noted(layout, "", send(layout.logs, below, terms=terms))),
        ("S303", lambda: _noted(layout, "", send(layout.results, below, terms=terms))),
        ("S303", lambda: _noted(layout, CHECKPOINTS, send(checkpoints, place, shared=shared, terms=terms))),
        # Last, since what the store itself refuses is known by now.
        ("S304", lambda: send([*_notes(layout), *resume], f"{below}{LEARNER}/", terms=terms)),
    )
    with reported(run, terms or Terms()) as terms:
        stored = _all_of(parts)
    run.root.mkdir(parents=True, exist_ok=True)
    run.stored.touch()
    also = f" and {place}" if shared else ""
    report(f"{stored.files} files, {stored.bytes} bytes are in {results.place}, below {below}{also}")
    return Stored(stored, tuple(layout.left_out), metrics)


def _read_metrics(run: RunFolder, spec: TrainingSpec, report: Report) -> Mapping[str, Mapping[str, float]]:
    """Read what the program has reported of its metrics and lay it beside its folders; nothing fails for that."""
    try:
        state = read_whole(run, rules_of(spec.metrics, spec.metric_patterns))
        if not state.curves.by_key:
            return {}
        with run.metrics_stored.open("wb") as file:
            file.writelines(to_lines(state))
    except OSError as error:
        report(f"the metrics cannot be read: {error.strerror}")
        return {}
    report(f"{state.curves.seen} points of {len(state.curves.by_key)} metrics")
    return state.summary()


def _noted(layout: Layout, place: str, sent: Transferred) -> Transferred:
    layout.left_out += [LeftOut(printed(place + key), reason) for key, reason in sent.left_out.items()]
    return sent


def _notes(layout: Layout) -> list[Source]:
    """Return the log of what is renamed and left out, if anything is."""
    if not layout.notes:
        return []
    data = "\n".join([*layout.notes, ""]).encode(errors="replace")
    return [Source(Path(NOTES).name, len(data), lambda: io.BytesIO(data))]


def _leave_a_log(run: RunFolder, outcome: Outcome) -> None:
    """Write the log of a program that has none, where the logs are asked for."""
    name = f"{LEARNER}/{run.training_log.name}"
    # A program may have put anything there, a link for example; then the bucket alone gets the text.
    with suppress(OSError):
        if not exists_inside(run.logs, name):
            write_inside(run.logs, name, reason_instead_of_log(run, outcome).encode(errors="replace"))


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
            hint = "Let workers and training pods run as the same user, or share a group."
            failures.append(TrainyardError(code, message, hint))
    if failures:
        raise failures[0]
    return Transferred(*(sum(values) for values in zip(*(_figures(one) for one in done), strict=True)))


def _as(code: str, error: TrainyardError) -> TrainyardError:
    if error.code.code in ("C103", "C114", "S305"):
        return error
    return TrainyardError(code, error.message, error.hint)


def _figures(one: Transferred) -> tuple[float, ...]:
    return (one.files, one.bytes, one.moved_files, one.moved_bytes, one.seconds)
