"""A run's checkpoints in its bucket: copied while it trains, stored at its end, fetched for a run that goes on."""

from __future__ import annotations

import io
import json
import math
import time
from collections.abc import Collection
from contextlib import suppress
from functools import partial
from pathlib import Path

from trainyard.cluster.volumes import CHECKPOINTS as CHECKPOINT_DIR
from trainyard.domain.checkpointing import complete, is_half_written
from trainyard.domain.leftout import LeftOut
from trainyard.domain.names import RunKey
from trainyard.domain.outcome import Outcome
from trainyard.domain.training import TrainingSpec
from trainyard.errors import TrainyardError
from trainyard.steps.buckets import CHECKPOINTS, LEARNER
from trainyard.steps.results import Layout, escaped, printed
from trainyard.stores.atmost import AtMost
from trainyard.stores.base import Store, StoreError, Why
from trainyard.stores.below import Below
from trainyard.stores.links import Ground, open_linked, scan_linked
from trainyard.stores.moving.progress import Report
from trainyard.stores.transfer import Source, Terms, download, upload
from trainyard.stores.tree import open_folders, write_inside
from trainyard.workspace.checkpoints import candidates, last_sign, newest_complete
from trainyard.workspace.layout import RunFolder, Workspace

# Beside the logs: which checkpoint is the newest complete one, since a bucket does not report that.
NOTE = f"{LEARNER}/resume.json"
_MAX_NOTE = 16 * 1024


def checkpoint_files(layout: Layout, folder: Path, only: Collection[str] | None = None) -> list[Source]:
    """Return what is to be stored of the checkpoints, of the named ones only; note in the layout what is not."""
    ground = Ground(folder, aliases=(CHECKPOINT_DIR,))
    found, sources = scan_linked(ground), list[Source]()
    layout.left_out += [LeftOut(printed(CHECKPOINTS + name), what) for name, what in found.others.items()]
    for name, size in found.files.items():
        if only is not None and name.partition("/")[0] not in only:
            continue
        if escaped(name) != name:
            # By another name the next run would not find it.
            layout.left_out.append(LeftOut(printed(CHECKPOINTS + name), "has characters that stores do not keep"))
        else:
            sources.append(Source(name, size, partial(open_linked, ground, name)))
    return sources


def names_to_keep(spec: TrainingSpec, folder: Path, run: RunFolder, outcome: Outcome) -> Collection[str] | None:
    """Return the checkpoints that are stored at a run's end, None for all; of a program that did well all are whole."""
    keep = spec.checkpoint.keep
    if not keep or spec.checkpoint.shared:
        return None
    found = list(candidates(folder))
    good = complete(found, math.inf) if outcome.code is None else complete(found, last_sign(found, run))
    return {each.name for each in good[:keep]} or None


def note_of_newest(folder: Path, run: RunFolder) -> Source | None:
    """Return what tells a run that goes on from this one where to begin; None where there is nothing to begin from."""
    name = newest_complete(folder, run)
    return _note(name) if name else None


def copy_newest(
    key: RunKey,
    spec: TrainingSpec,
    results: Store,
    workspace: Workspace,
    threads: int,
    report: Report,
    terms: Terms | None = None,
) -> str:
    """Copy the newest complete checkpoint of a program that runs, and forget the oldest copies; return its name.

    It is empty where there is none, or none that stayed as it was meanwhile. Raise StoreError as uploads do.
    """
    run = workspace.run(key)
    found = complete(candidates(run.checkpoints), time.time())
    copied = _copied(run)
    if not found or (copied and copied[-1] == (found[0].name, found[0].changed)):
        return ""
    newest, prefix = found[0], f"{key.model_id}/{CHECKPOINTS}"
    sources = checkpoint_files(Layout(), run.checkpoints, {newest.name})
    upload(results, sources, prefix, threads, report, shared=True, terms=terms)
    if newest not in list(candidates(run.checkpoints)):
        report(f"checkpoint {newest.name} changed while it was copied")
        return ""
    note = _note(newest.name)
    results.put(f"{key.model_id}/{NOTE}", note.open(), note.size)
    copied = [row for row in copied if row[0] != newest.name] + [(newest.name, newest.changed)]
    keep = spec.checkpoint.keep or len(copied)
    for name, _ in copied[:-keep]:
        for entry in list(results.list(prefix + name)):
            if _belongs(entry.key.removeprefix(prefix), name):
                results.delete(entry.key)
    write_inside(run.root, run.copied.name, json.dumps(copied[-keep:]).encode())
    return newest.name


def fetch_newest(
    parent: str, run: RunFolder, results: Store, threads: int, report: Report, terms: Terms | None = None
) -> str:
    """Bring the newest complete checkpoint that another run has stored, and note that the run goes on from it.

    Raise TrainyardError C108 where that run has none.
    """
    name = _name_in(results, parent)
    below = Below(results, f"{parent}/{CHECKPOINTS}")
    entries = [entry for entry in below.list(name) if _belongs(entry.key, name)] if name else []
    if not entries:
        hint = "Run it again without --resume."
        raise TrainyardError("C108", f"{parent} has no complete checkpoint to go on from", hint)
    download(below, entries, run.checkpoints, threads, report, mode=0o666, terms=terms)
    open_folders(run.checkpoints, 0o777)
    write_inside(run.root, run.resume.name, name.encode())
    return name


def resumed_from(run: RunFolder) -> str:
    """Return the checkpoint that a run is to go on from, empty where it starts again."""
    with suppress(OSError):
        return run.resume.read_text("utf-8", "replace")
    return ""


def _name_in(results: Store, parent: str) -> str:
    into = io.BytesIO()
    try:
        results.get(f"{parent}/{NOTE}", AtMost(into, _MAX_NOTE, NOTE).as_file())
        name = json.loads(into.getvalue())["checkpoint"]
    except StoreError as error:
        if error.why is not Why.NO_KEY:
            raise
        return ""
    except (ValueError, LookupError, TypeError):
        return ""
    fine = isinstance(name, str) and 0 < len(name) <= 255 and "/" not in name and not is_half_written(name)
    return name if fine else ""


def _note(name: str) -> Source:
    data = json.dumps({"checkpoint": name}).encode()
    return Source(NOTE.rpartition("/")[2], len(data), lambda: io.BytesIO(data))


def _belongs(key: str, name: str) -> bool:
    return key == name or key.startswith(f"{name}/")


def _copied(run: RunFolder) -> list[tuple[str, float]]:
    with suppress(OSError, ValueError, TypeError):
        found = json.loads(run.copied.read_text())
        return [(str(name), float(changed)) for name, changed in found]
    return []
