"""Read a manifest of any family and generation into one submission, or tell everything that is wrong with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from trainyard.domain.limits import Limits
from trainyard.domain.training import Credentials, StoreRef, Submission, TrainingSpec
from trainyard.errors import Problem
from trainyard.intake.document import Document, join_path, read_document
from trainyard.intake.family import family_of
from trainyard.intake.faults import Faults
from trainyard.intake.ffdl import ffdl_layout, unused
from trainyard.intake.hyperparameters import read_hyperparameters
from trainyard.intake.layout import Layout
from trainyard.intake.masking import masked_manifest
from trainyard.intake.placeholders import is_placeholder
from trainyard.intake.schedule import read_schedule
from trainyard.intake.schema import check_shape
from trainyard.intake.values import Values
from trainyard.intake.wml import check_wml, wml_layout
from trainyard.stores.addresses import ANYWHERE, AddressPolicy

__all__ = ["ManifestRead", "masked_manifest", "read_manifest"]

MAX_BYTES = 1024 * 1024
_PLAN_PATHS = ("framework.name", "framework.version", "resources", "resources.size", "resources.nodes")


@dataclass(frozen=True)
class ManifestRead:
    """A manifest without a fault. `places` maps a path of the plan to path, line and column in the manifest."""

    submission: Submission
    places: Mapping[str, tuple[str, int, int]]

    def located(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """Give problems of make_plan the place in the manifest that they speak of."""
        return tuple(self._located(problem) for problem in problems)

    def _located(self, problem: Problem) -> Problem:
        if problem.path not in self.places:
            return problem
        path, line, column = self.places[problem.path]
        return replace(problem, path=path, line=line, column=column)


def read_manifest(
    data: bytes,
    limits: Limits,
    max_bytes: int = MAX_BYTES,
    clock: Callable[[], float] = time.time,
    addresses: AddressPolicy = ANYWHERE,
) -> ManifestRead:
    """Read a manifest and check it against what there is to run on, all but the account's quota.

    `addresses` are where the service lets stores be. `clock` gives seconds since the epoch: a schedule must not be over
    already.
    Raise TrainyardError, C101 or C104 by its first problem, with every problem in the order of the file.
    """
    document = read_document(data, max_bytes)
    family = family_of(document)
    layout = wml_layout(document) if family == "wml" else ffdl_layout(document)
    faults = Faults(document)
    _check_placeholders(document, layout, faults)
    check_shape(document, "manifest" if family == "wml" else family, faults)
    if family == "wml":
        check_wml(document, layout, faults)
    submission = _submission(Values(document, layout, limits, faults, addresses), clock)
    return ManifestRead(submission, _places(document, layout))


def _check_placeholders(document: Document, layout: Layout, faults: Faults) -> None:
    for path in layout.filled_in:
        text = document.text(path)
        if text and document.value(path) is not None and is_placeholder(str(path[-1]), text):
            faults.add(path, f"{path[-1]} is not filled in.", "Replace the placeholder by the real value.")


def _submission(values: Values, clock: Callable[[], float]) -> Submission:
    layout, document = values.layout, values.document
    framework, resources = values.framework(), values.resources()
    hyperparameters, schedule = read_hyperparameters(values), read_schedule(values, clock)
    data, results = values.store(layout.data), values.store(layout.results)
    values.faults.raise_any()
    if framework is None or data is None or results is None:
        raise AssertionError("a manifest that cannot be read has at least one fault")
    _warn(values, data, results)
    spec = TrainingSpec(
        name=values.text(layout.name) or "",
        description=values.text(layout.description) or "",
        author=values.author(),
        framework=framework,
        command=values.text(layout.command) or "",
        resources=resources,
        data=data[0],
        results=results[0],
        family=layout.family,
        metrics=(document.value(layout.metrics) if layout.metrics else None) or {},
        hyperparameters=hyperparameters,
        schedule=schedule,
        retries=values.whole(("retries",)),
    )
    return Submission(spec, data[1], results[1], tuple(values.warnings))


def _warn(values: Values, data: tuple[StoreRef, Credentials], results: tuple[StoreRef, Credentials]) -> None:
    if data[0] == results[0]:
        values.warn(
            values.layout.results.bucket,
            "results go to the bucket of the data, so that the next run downloads them too",
        )
    if values.layout.family == "ffdl":
        values.warnings.extend(unused(values.document))


def _places(document: Document, layout: Layout) -> dict[str, tuple[str, int, int]]:
    found = {}
    for name in _PLAN_PATHS:
        path = layout.of_plan(name)
        if path is not None:
            found[name] = (join_path(path), *document.nearest_position(path))
    return found
