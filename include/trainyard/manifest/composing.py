"""From an experiment's training and the definition that it names to the manifest that says the same today."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from trainyard.domain.documents import Compute, Definition, Experiment, Reference
from trainyard.domain.ownstores import shown_connection
from trainyard.domain.training import Credentials, StoreRef
from trainyard.errors import Problem
from trainyard.manifest.document import Document, Path, join_path

_REFERENCES = "training_references"
# Where a part of the manifest comes from, as seen from the experiment's reference to a training.
_ORIGINS: tuple[tuple[str, Path], ...] = (
    ("model_definition.execution.command", ("command",)),
    ("model_definition.execution.compute_configuration", ("compute_configuration",)),
    ("model_definition.name", ("name",)),
    ("search", ("hyper_parameters_optimization",)),
)


@dataclass(frozen=True)
class Keys:
    """The credentials of the two stores; None for a store that names a connection."""

    data: Credentials | None
    results: Credentials | None


def compose(experiment: Experiment, reference: Reference, definition: Definition, keys: Keys) -> bytes:
    """Return the manifest of one training, with the credentials in it: it is read and never kept.

    What neither the experiment nor the definition says is left out, and refused as in any manifest.
    """
    author = definition.author or experiment.author
    execution = {
        "command": reference.command or definition.command,
        "hyperparameters": dict(definition.hyperparameters),
        "compute_configuration": _compute(reference.compute or definition.compute),
    }
    data = experiment.data or definition.data
    manifest = {
        "model_definition": {
            "name": reference.name,
            "description": definition.description,
            "author": asdict(author) if author else None,
            "framework": asdict(definition.framework),
            "execution": execution,
        },
        "training_data_reference": _store(data, "source", keys.data) if data else None,
        "training_results_reference": _store(experiment.results, "target", keys.results),
        "search": dict(reference.search),
    }
    return json.dumps(_without_blanks(manifest), ensure_ascii=False).encode()


def located(problem: Problem, document: Document, index: int) -> Problem:
    """Give a problem of the manifest composed for one training the place in the experiment that it comes from."""
    at = (_REFERENCES, index)
    path = next((path for path in _candidates(problem.path, at) if document.has(path)), at)
    line, column = document.nearest_position(path)
    return replace(problem, path=join_path(path), line=line, column=column, seen=None, file="")


def _candidates(path: str, at: Path) -> list[Path]:
    if path.startswith("training_results_reference"):
        return [("training_results_reference",), ("training_results",)]
    if path.startswith("training_data_reference"):
        return [("training_data_reference",), (*at, "training_definition_url")]
    inside = [(*at, *steps) for beginning, steps in _ORIGINS if path.startswith(beginning)]
    return [*inside, (*at, "training_definition_url")]


def _compute(compute: Compute | None) -> dict[str, Any] | None:
    if compute is None:
        return None
    return {"name": compute.name, **({"nodes": compute.nodes} if compute.nodes != 1 else {})}


def _store(ref: StoreRef, side: str, keys: Credentials | None) -> dict[str, Any]:
    if ref.connection:
        connection: dict[str, Any] = {"name": shown_connection(ref.connection)}
    elif ref.kind == "s3":
        connection = {"endpoint_url": ref.endpoint, "region": ref.region}
        names = ("access_key_id", "secret_access_key")
    else:
        places = {"region": ref.region, "domain_name": ref.domain, "project_id": ref.project}
        connection, names = {"auth_url": ref.endpoint, **places}, ("user_name", "password")
    if keys and not ref.connection:
        connection |= dict(zip(names, (keys.user, keys.secret), strict=True))
    return {"connection": connection, side: {"bucket": ref.bucket, "prefix": ref.prefix}, "type": ref.kind}


def _without_blanks(data: Mapping[str, Any]) -> dict[str, Any]:
    shorter = {key: _without_blanks(value) if isinstance(value, dict) else value for key, value in data.items()}
    return {key: value for key, value in shorter.items() if value not in (None, "", {})}
