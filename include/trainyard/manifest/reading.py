"""Read a manifest of any family and generation into one submission, or report everything that is wrong with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from trainyard.domain.addresses import ANYWHERE, AddressPolicy
from trainyard.domain.earlier import NOTHING_EARLIER, Earlier
from trainyard.domain.limits import Account, Limits
from trainyard.domain.notification import ANYBODY, Notifying
from trainyard.domain.ownstores import FindStore
from trainyard.domain.training import Framework, Resources, StoreRef, Submission, TrainingSpec
from trainyard.errors import Fault, Problem, TrainyardError
from trainyard.manifest.checkpoint import read_checkpoint
from trainyard.manifest.document import Document, Path, join_path, read_document
from trainyard.manifest.family import family_of
from trainyard.manifest.faults import Faults
from trainyard.manifest.framework import read_framework, refuse_image_location, warn_of_mismatches
from trainyard.manifest.hidden import check_hidden
from trainyard.manifest.layout import Layout, ffdl_layout, ffdl_warnings, wml_layout
from trainyard.manifest.machine import check_machines, read_resources
from trainyard.manifest.masking import MASK, masked_manifest
from trainyard.manifest.metrics import read_metrics
from trainyard.manifest.neighbours import as_manifest
from trainyard.manifest.notify import read_notify
from trainyard.manifest.placeholders import is_placeholder
from trainyard.manifest.schedule import read_schedule
from trainyard.manifest.schema import check_shape
from trainyard.manifest.search import read_search, with_defaults
from trainyard.manifest.store import check_store_types, read_store, read_tracking
from trainyard.manifest.values import Values
from trainyard.manifest.variables import check_names_among_learners, read_env, read_secrets
from trainyard.manifest.watch import read_watch

MAX_BYTES = 1024 * 1024
_MAX_TEXT, _MAX_STORE_TEXT = 10_000, 4096
_PLAN_PATHS = ("framework.name", "framework.version", "resources", "resources.size", "resources.nodes")


@dataclass(frozen=True)
class ManifestRead:
    """A manifest without a fault. `places` maps a path of the plan to path, line and column in the manifest."""

    submission: Submission
    document: Document
    places: Mapping[str, tuple[str, int, int]]

    @property
    def masked(self) -> str:
        """The manifest as people may see it."""
        return masked_manifest(self.document)


@dataclass(frozen=True)
class Examination:
    """What could be read of a manifest, whatever else is wrong with it; None stands for what could not."""

    problems: tuple[Problem, ...] = ()
    read: ManifestRead | None = None
    framework: Framework | None = None
    resources: Resources | None = None
    command: str | None = None
    places: Mapping[str, tuple[str, int, int]] = field(default_factory=dict)

    def unreported(self, problems: Iterable[Problem]) -> list[Problem]:
        """Return the plan's problems with their places; none for a place that has a problem already."""
        known = {problem.path for problem in self.problems}
        located = (_located(problem, self.places) for problem in problems)
        return [problem for problem in located if not problem.path or problem.path not in known]


def examine_manifest(
    data: bytes,
    limits: Limits,
    max_bytes: int = MAX_BYTES,
    clock: Callable[[], float] = time.time,
    addresses: AddressPolicy = ANYWHERE,
    account: Account | None = None,
    notifying: Notifying = ANYBODY,
    find_store: FindStore = lambda _: None,
    earlier: Earlier = NOTHING_EARLIER,
) -> Examination:
    """Read a manifest as far as it can be read, with every problem in the order of the file.

    `account` says which connections the manifest may name, None where that is not known here; `notifying` whom it may
    notify, `find_store` which stores are the submitter's own, `earlier` what its masked values stand for.
    """
    try:
        document, notes = as_manifest(read_document(data, max_bytes))
        family = family_of(document)
    except TrainyardError as error:
        if error.fault is Fault.SERVICE:
            raise
        return Examination(error.problems)
    layout = wml_layout(document) if family == "wml" else ffdl_layout(document)
    named = (account.connections, account.trackers) if account else (None, None)
    values = Values(document, layout, limits, Faults(document), addresses, *named, notifying, find_store, earlier)
    values.warnings.extend(f"line {line}: {sentence}" for line, sentence in notes)
    check_placeholders(document, _placeholder_paths(values), values.faults)
    check_hidden(values)
    check_machines(values)
    refuse_image_location(values)
    check_shape(document, "manifest" if family == "wml" else family, values.faults)
    _check_lengths(document, layout, values.faults)
    if family == "wml":
        check_store_types(values)
    return _examined(values, clock)


def _placeholder_paths(values: Values) -> list[Path]:
    """Return where a placeholder may stand; a mask is none where it is known what it stands for."""
    paths = values.layout.placeholder_paths
    if not values.earlier.stores:
        return list(paths)
    stores = (values.layout.data, values.layout.results)
    masked = {path for store in stores for path in (store.user, store.secret) if values.text(path) == MASK}
    return [path for path in paths if path not in masked]


def check_placeholders(document: Document, paths: Iterable[Path], faults: Faults) -> None:
    """Note every value that somebody forgot to fill in."""
    for path in paths:
        text = document.text(path)
        if text and document.value(path) is not None and is_placeholder(str(path[-1]), text):
            faults.add(path, f"{path[-1]} is not filled in.", "Replace the placeholder by the real value.")


def _check_lengths(document: Document, layout: Layout, faults: Faults) -> None:
    """Report texts that are too long to be what they stand for; a command has a bound of its own."""
    stores = {*layout.data.paths, *layout.results.paths}
    for path, scalar in document.scalars():
        most = _MAX_STORE_TEXT if path in stores else _MAX_TEXT
        if len(scalar.text) > most and path != layout.command:
            faults.add(
                path, f"the value is over {most} characters long.", "Shorten it, or put it into a file in the zip."
            )


def _examined(values: Values, clock: Callable[[], float]) -> Examination:
    """Read every value; what cannot be read does not hinder the others from being looked at."""
    layout, document = values.layout, values.document
    framework, resources, command = read_framework(values), read_resources(values), values.command()
    hyperparameters, schedule = values.hyperparameters(), read_schedule(values, clock)
    search = read_search(values, hyperparameters)
    data, results = read_store(values, layout.data), read_store(values, layout.results)
    metrics, patterns = read_metrics(values, resources.nodes)
    mlflow, (notify, addresses) = read_tracking(values), read_notify(values)
    watch, checkpoint = read_watch(values), read_checkpoint(values)
    taken = with_defaults(hyperparameters, search)
    env = read_env(values, taken)
    secrets = read_secrets(values, {*taken, *env})
    if resources.nodes > 1:
        check_names_among_learners(values)
    found = Examination(tuple(values.faults.problems), None, framework, resources, command, _places(document, layout))
    if values.faults.found:
        return found
    if framework is None or data is None or results is None:
        raise AssertionError("a manifest that cannot be read has at least one fault")
    warn_of_mismatches(values, framework, resources, command or "")
    _warn(values, data[0], results[0])
    spec = TrainingSpec(
        name=values.text(layout.name) or "",
        description=values.text(layout.description) or "",
        author=values.author(),
        framework=framework,
        command=command or "",
        resources=resources,
        data=data[0],
        results=results[0],
        family=layout.family,
        metrics=metrics,
        metric_patterns=patterns,
        hyperparameters=with_defaults(hyperparameters, search),
        schedule=schedule,
        retries=values.integer(("retries",)),
        mlflow=mlflow,
        search=search,
        env=env,
        secrets=secrets,
        requirements=values.document.value(("requirements",)) is not False,
        notify=notify,
        checkpoint=checkpoint,
        watch=watch,
    )
    submission = Submission(spec, data[1], results[1], tuple(values.warnings), addresses)
    return replace(found, read=ManifestRead(submission, document, found.places))


def _warn(values: Values, data: StoreRef, results: StoreRef) -> None:
    if data == results:
        values.warn(
            values.layout.results.bucket,
            "results go to the bucket of the data, so that the next run downloads them too",
        )
    if values.layout.family == "ffdl":
        values.warnings.extend(ffdl_warnings(values.document))


def _located(problem: Problem, places: Mapping[str, tuple[str, int, int]]) -> Problem:
    if problem.path not in places:
        return problem
    path, line, column = places[problem.path]
    return replace(problem, path=path, line=line, column=column)


def _places(document: Document, layout: Layout) -> dict[str, tuple[str, int, int]]:
    found = {}
    for name in _PLAN_PATHS:
        path = layout.of_plan(name)
        if path is not None:
            found[name] = (join_path(path), *document.nearest_position(path))
    return found
