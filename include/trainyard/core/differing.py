"""What differs between two runs: what they were given, what they were made of, and what became of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from trainyard.core.accounts import Caller
from trainyard.core.codediff import FileDiff, program_differences, text_differences
from trainyard.core.runs import Run
from trainyard.core.service import Service
from trainyard.manifest.effective import effective_manifest

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Changed:
    """A value that two runs do not share; one that a run does not have is None."""

    name: str
    first: Any
    second: Any


@dataclass(frozen=True)
class RunDiff:
    """What differs. `files` is None where the programs differ and a zip is not kept any more."""

    first: Run
    second: Run
    hyperparameters: tuple[Changed, ...]
    manifest: tuple[str, ...]
    files: tuple[FileDiff, ...] | None
    origin: tuple[Changed, ...]
    outcome: tuple[Changed, ...]
    metrics: tuple[Changed, ...]


def differing(service: Service, first: str, second: str, caller: Caller) -> RunDiff:
    """Return what differs between two runs; raise TrainyardError C107 for one that the caller may not see."""
    one, other = service.run(first, caller), service.run(second, caller)
    files = program_differences(service.catalogue, one.training_id, other.training_id)
    return RunDiff(
        first=one,
        second=other,
        hyperparameters=_changed(one.hyperparameters, other.hyperparameters),
        manifest=text_differences(*_manifests(service, one, other)),
        files=None if files is None else tuple(files),
        origin=_changed(_origin(service, one), _origin(service, other)),
        outcome=_changed(_outcome(one), _outcome(other)),
        metrics=_changed(_metrics(one), _metrics(other)),
    )


def _changed(first: Values, second: Values) -> tuple[Changed, ...]:
    names: Iterable[str] = dict.fromkeys((*first, *second))
    found = (Changed(name, first.get(name), second.get(name)) for name in names)
    return tuple(each for each in found if each.first != each.second)


def _manifests(service: Service, one: Run, other: Run) -> tuple[str, str]:
    """Return the manifests as the runs had them: as they were written, or both in one form if a run had overrides."""
    texts = []
    for run in (one, other):
        training = service.catalogue.get(run.training_id)
        text = effective_manifest(training.manifest, run.overrides) if training else ""
        texts.append(_in_one_form(text) if one.overrides or other.overrides else text)
    return texts[0], texts[1]


def _in_one_form(text: str) -> str:
    try:
        written: str = yaml.safe_dump(yaml.safe_load(text), sort_keys=False, allow_unicode=True)
    except (yaml.YAMLError, ValueError, RecursionError):
        return text
    return written


def _origin(service: Service, run: Run) -> dict[str, Any]:
    """Return what a run was made of; an unknown value is left out."""
    found = service.origin(run)
    code = found.get("code") or {}
    known = {
        "framework": run.framework,
        "image": found.get("image"),
        "data_version": found.get("data_version"),
        "git_commit": code.get("commit"),
        "program": found.get("zip_sha256"),
        "gpus": run.gpus,
        "learners": run.learners,
    }
    return {name: value for name, value in known.items() if value not in (None, "")}


def _outcome(run: Run) -> dict[str, Any]:
    ended = run.outcome
    detail = {"code": ended.code, "exit_code": ended.exit_code, "message": ended.message or None} if ended else {}
    return {"state": run.state.value, **detail}


def _metrics(run: Run) -> dict[str, float]:
    metrics = run.outcome.metrics if run.outcome else {}
    return {name: values["last"] for name, values in metrics.items() if "last" in values}
