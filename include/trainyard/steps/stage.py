"""Bring dataset, model definition and checkpoints into the workspace, without holding a GPU."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from trainyard.domain.names import RunKey
from trainyard.domain.training import TrainingSpec
from trainyard.errors import TrainyardError
from trainyard.manifest.archive import ArchiveRules, unpack_archive
from trainyard.steps.buckets import CHECKPOINTS, LEARNER, is_training_data
from trainyard.steps.checkpoints import fetch_newest
from trainyard.stores.base import Store, StoreError, Why
from trainyard.stores.below import Below
from trainyard.stores.moving.progress import Report
from trainyard.stores.transfer import Terms, download
from trainyard.stores.tree import open_folders, remove, scan, write_inside
from trainyard.workspace.datasets import Dataset, DatasetCache
from trainyard.workspace.layout import RunFolder, Workspace
from trainyard.workspace.locks import locked
from trainyard.workspace.transfers import reported

CONFIG = "config.json"
# How often a bucket that others write to may change before it is given up.
_LISTINGS = 3


@dataclass(frozen=True)
class Staged:
    """What a pod mounts as its data, and what that is. `hit` says that it was in the workspace before."""

    dataset_subpath: str
    files: int
    bytes: int
    hit: bool


def stage(
    key: RunKey,
    spec: TrainingSpec,
    account: str,
    data: Store,
    results: Store,
    workspace: Workspace,
    zip_path: Path,
    rules: ArchiveRules,
    threads: int,
    report: Report,
    terms: Terms | None = None,
    cache_max_bytes: int | None = None,
    data_version: str = "",
    resume_from: str = "",
) -> Staged:
    """Prepare everything that the run's pod mounts, and hold the dataset for the run.

    It can be repeated: what is there stays, and of a run whose program has started nothing is touched. With a
    `data_version` it has to be that one, of the bucket or of the cache. With another run to `resume_from` it brings
    that one's newest complete checkpoint. Raise StoreError, or TrainyardError C102, C108, C117, S301 or S302.
    """
    run, cache = workspace.run(key), DatasetCache(workspace, cache_max_bytes)
    held = cache.held(str(key))
    if held and run.has_started:
        report("the program has started before: nothing is staged again")
        return _staged(workspace, held)
    _make_folders(run)
    _load_model(run, spec, zip_path, rules, report)
    began = time.monotonic()
    with reported(run, terms or Terms()) as terms:
        wanted = partial(is_training_data, spec)
        obtain = partial(cache.obtain, spec.data, data, str(key), threads, report, wanted, terms)
        dataset = cache.kept(spec.data, data, str(key), data_version) if data_version else None
        dataset = dataset or _while_it_changes(obtain, report)
        if data_version not in ("", dataset.version):
            cache.release(str(key))
            raise _changed(data.place, data_version, dataset.version)
        _log(run, "load-data.log", _reported(dataset, data.place, time.monotonic() - began), report)
        if spec.checkpoint.shared:
            _load_checkpoints(workspace.checkpoints(account, spec.results), results, threads, report, terms)
        elif resume_from:
            report(f"goes on from {fetch_newest(resume_from, run, results, threads, report, terms)} of {resume_from}")
    write_inside(run.root, run.dataset.name, dataset.version.encode())
    return _staged(workspace, dataset)


def _changed(place: str, wanted: str, found: str) -> TrainyardError:
    message = f"{place} has the data of version {found} now, and {wanted} is not kept any more"
    return TrainyardError("C117", message, "Run it again without --exact to train on what is there now.")


def staged_version(run: RunFolder) -> str | None:
    """Return the version of the data that a run was staged with, None where it was not staged."""
    try:
        return run.dataset.read_text()
    except OSError:
        return None


def staged_path(key: RunKey, spec: TrainingSpec, workspace: Workspace) -> Path:
    """Return the dataset that a run mounts: the one it holds, which has to be a version of its training's own bucket.

    Raise TrainyardError S302 where it holds none.
    """
    held = DatasetCache(workspace).held(str(key))
    if held is None or not _is_version(held.path, workspace.dataset(spec.data)):
        message = "the run holds no dataset of its training's bucket"
        raise TrainyardError("S302", message, "Clear the stage step too, or submit the training again.")
    return held.path


def _is_version(path: Path, bucket: Path) -> bool:
    return path.parent == bucket and not path.name.startswith(".") and not path.is_symlink()


def _while_it_changes(obtain: Callable[[], Dataset], report: Report) -> Dataset:
    """List a bucket again that has changed while it was downloaded; what has arrived of it is used."""
    for _ in range(_LISTINGS - 1):
        try:
            return obtain()
        except StoreError as error:
            if error.why is not Why.CHANGED:
                raise
            report(f"{error.message}: it is listed again")
    return obtain()


def _staged(workspace: Workspace, dataset: Dataset) -> Staged:
    return Staged(workspace.subpath(dataset.path), dataset.files, dataset.bytes, dataset.hit)


def _make_folders(run: RunFolder) -> None:
    for folder in (run.result, run.logs / LEARNER, run.state, run.checkpoints):
        folder.mkdir(parents=True, exist_ok=True)
        _open_to_pods(folder)
    _open_to_pods(run.logs)


def _load_model(run: RunFolder, spec: TrainingSpec, zip_path: Path, rules: ArchiveRules, report: Report) -> None:
    # The folder appears whole, so that one which is there is done.
    if run.model.exists():
        return
    began, aside = time.monotonic(), run.root / "model.part"
    remove(aside)
    try:
        unpack_archive(zip_path, aside, rules)
    except OSError as error:
        raise TrainyardError("S301", f"the zip cannot be unpacked: {error.strerror}", "Try again.") from None
    sizes = scan(aside).files.values()
    remark = _write_hyperparameters(spec, aside)
    _let_all_read(aside)
    _open_to_pods(aside)
    aside.rename(run.model)
    text = f"{len(sizes)} files, {sum(sizes)} bytes of the model definition in {time.monotonic() - began:.1f} seconds"
    _log(run, "load-model.log", text + remark, report)


def _write_hyperparameters(spec: TrainingSpec, folder: Path) -> str:
    """Write config.json for the program; one that the zip brings is a person's own and stays. Return what was done.

    Only in a search its values are put into the zip's: each of its runs has others, and may look for them nowhere else.
    """
    if not spec.hyperparameters:
        return ""
    values, file = dict(spec.hyperparameters), folder / CONFIG
    if os.path.lexists(file):
        own = _own_config(file) if spec.search else None
        if own is None:
            return f"\n{CONFIG} of the zip is kept; the hyperparameters are in the environment alone"
        values = own | values
    file.write_text(f"{json.dumps(values, ensure_ascii=False, indent=2)}\n", encoding="utf-8")
    return f"\n{len(spec.hyperparameters)} hyperparameters in {CONFIG}"


def _own_config(file: Path) -> dict[str, Any] | None:
    """Return the map in a zip's config.json; None where it is anything else."""
    try:
        found = json.loads(file.read_bytes()) if file.is_file() and not file.is_symlink() else None
    except (ValueError, RecursionError, OSError):
        return None
    return found if isinstance(found, dict) else None


def _load_checkpoints(folder: Path, results: Store, threads: int, report: Report, terms: Terms) -> None:
    below = Below(results, CHECKPOINTS)
    # The folder is shared by runs that are training now: what is there is as new as the bucket's, or newer.
    with locked(folder.with_name(f"{folder.name}.lock")):
        folder.mkdir(parents=True, exist_ok=True)
        missing = [entry for entry in below.list() if not _is_taken(folder, entry.key)]
        download(below, missing, folder, threads, report, mode=0o666, terms=terms)
        _open_to_pods(folder)


def _is_taken(folder: Path, key: str) -> bool:
    """Say whether a checkpoint has no place: it is there, or a program has made a link or a file of a folder above."""
    *ways, last = Path(key).parts
    for way in ways:
        folder /= way
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            return True
    return os.path.lexists(folder / last)


def _open_to_pods(folder: Path) -> None:
    """Let every user write to the folder and those in it.

    A pod runs as the user of its image or of its cluster, which the worker is not and cannot know; the workspace is
    closed to others by what a pod mounts of it.
    """
    open_folders(folder, 0o777)


def _let_all_read(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o555 if mode & 0o111 else 0o444))


def _reported(dataset: Dataset, place: str, seconds: float) -> str:
    how = "were in the workspace" if dataset.hit else f"{dataset.downloaded_bytes} bytes downloaded"
    return (
        f"{dataset.files} files, {dataset.bytes} bytes of {place}, version {dataset.version}; "
        f"{how} in {seconds:.1f} seconds"
    )


def _log(run: RunFolder, name: str, text: str, report: Report) -> None:
    report(text)
    write_inside(run.logs, f"{LEARNER}/{name}", f"{text}\n".encode())
