"""Read training definitions and experiments, the documents of 2018, or report everything that is wrong with one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from trainyard.domain.addresses import ANYWHERE, AddressPolicy
from trainyard.domain.documents import Compute, Definition, Experiment, Reference, definition_id_of
from trainyard.domain.limits import Account, Limits
from trainyard.domain.plan import plan_problems
from trainyard.domain.training import Credentials, Framework, Resources, StoreRef
from trainyard.errors import Fault, Problem, TrainyardError
from trainyard.manifest.document import Document, Path, read_document
from trainyard.manifest.family import check_family
from trainyard.manifest.faults import Faults
from trainyard.manifest.framework import read_framework, refuse_image_location
from trainyard.manifest.hidden import check_hidden
from trainyard.manifest.layout import Layout, StoreLayout, first_entry, first_given, reference_layout
from trainyard.manifest.machine import check_machines, read_resources
from trainyard.manifest.masking import masked_manifest
from trainyard.manifest.optimization import read_optimization
from trainyard.manifest.reading import check_placeholders
from trainyard.manifest.schema import check_shape, is_blank
from trainyard.manifest.store import check_store_types, read_store
from trainyard.manifest.values import Values

DEFINITION, EXPERIMENT = "training-definition", "experiment"
_REFERENCES = "training_references"
_NOWHERE: Path = ("",)


@dataclass(frozen=True)
class Reading:
    """What a document is checked against."""

    limits: Limits
    account: Account | None = None
    addresses: AddressPolicy = ANYWHERE
    max_bytes: int = 1024 * 1024


@dataclass(frozen=True)
class DefinitionRead:
    """A training definition without a fault; `data` are the credentials of its data, None where it has none."""

    definition: Definition
    document: Document
    data: Credentials | None = None
    warnings: tuple[str, ...] = ()

    @property
    def masked(self) -> str:
        return masked_manifest(self.document)


@dataclass(frozen=True)
class ExperimentRead:
    """An experiment without a fault, as far as it alone says, with the credentials of its stores."""

    experiment: Experiment
    document: Document
    results: Credentials | None = None
    data: Credentials | None = None
    warnings: tuple[str, ...] = ()

    @property
    def masked(self) -> str:
        return masked_manifest(self.document)


@dataclass(frozen=True)
class DefinitionExamined:
    """What could be read of a training definition, whatever else is wrong with it; None stands for what could not."""

    problems: tuple[Problem, ...] = ()
    read: DefinitionRead | None = None
    command: str | None = None


def examine_definition(text: bytes, rules: Reading) -> DefinitionExamined:
    """Read a training definition as far as it can be read, with every problem in the order of the file."""
    try:
        document = _document(text, DEFINITION, rules)
    except TrainyardError as error:
        if error.fault is Fault.SERVICE:
            raise
        return DefinitionExamined(error.problems)
    layout = _definition_layout(document)
    values = _values(document, layout, rules)
    _check(values, [layout], DEFINITION)
    framework, compute, command = read_framework(values), _compute(values), values.command()
    data, hyperparameters = _store(values, layout.data), values.hyperparameters()
    _check_plan(values, framework, compute, rules)
    if values.faults.found:
        return DefinitionExamined(tuple(values.faults.problems), None, command)
    if framework is None:
        raise AssertionError("a definition that cannot be read has at least one fault")
    found = Definition(
        name=values.text(layout.name) or "",
        framework=framework,
        description=values.text(layout.description) or "",
        author=values.author(),
        command=command or "",
        compute=compute,
        hyperparameters=hyperparameters,
        data=data[0] if data else None,
    )
    read = DefinitionRead(found, document, data[1] if data else None, tuple(values.warnings))
    return DefinitionExamined((), read, command)


def read_experiment(text: bytes, rules: Reading) -> ExperimentRead:
    """Read an experiment; raise TrainyardError with every problem in the order of the file.

    Whether its definitions are there, and fit it, is asked of those who keep them.
    """
    document = _document(text, EXPERIMENT, rules)
    layout = _experiment_layout(document)
    values = _values(document, layout, rules)
    layouts = [_of_reference(layout, at) for at in _reference_paths(document)]
    _check(values, [layout, *layouts], EXPERIMENT)
    references = tuple(_reference(replace(values, layout=one), one.name[:-1]) for one in layouts)
    results, data = _store(values, layout.results), _store(values, layout.data)
    if values.faults.found or results is None:
        raise TrainyardError.refused(values.faults.problems)
    read = Experiment(
        name=values.text(layout.name) or "",
        references=references,
        results=results[0],
        description=values.text(layout.description) or "",
        author=values.author(),
        data=data[0] if data else None,
    )
    return ExperimentRead(read, document, results[1], data[1] if data else None, tuple(values.warnings))


def _document(text: bytes, kind: str, rules: Reading) -> Document:
    document = read_document(text, rules.max_bytes)
    check_family(document, kind)
    return document


def _values(document: Document, layout: Layout, rules: Reading) -> Values:
    account = rules.account
    named = (account.connections, account.trackers) if account else (None, None)
    return Values(document, layout, rules.limits, Faults(document), rules.addresses, *named)


def _check(values: Values, layouts: Iterable[Layout], schema: str) -> None:
    for layout in layouts:
        check_placeholders(values.document, layout.placeholder_paths, values.faults)
        check_machines(replace(values, layout=layout))
    check_hidden(values)
    refuse_image_location(values)
    check_shape(values.document, schema, values.faults)
    check_store_types(values)


def _reference(values: Values, at: Path) -> Reference:
    """Read one of the trainings; the values' layout is that of its own."""
    return Reference(
        name=values.text((*at, "name")) or f"model-{int(at[-1]) + 1}",
        definition_id=_definition_id(values, (*at, "training_definition_url")),
        command=values.command() or "",
        compute=_compute(values),
        search=read_optimization(values, (*at, "hyper_parameters_optimization")),
    )


def _definition_id(values: Values, path: Path) -> str:
    text = values.text(path)
    found = definition_id_of(text) if text else None
    if text and found is None:
        filled = "<" not in text
        message = "this names no training definition." if filled else f"{path[-1]} is not filled in."
        hint = "Write the id that `trainyard store training-definitions` printed, or an address that ends with it."
        values.faults.add(path, message, hint)
    return found or ""


def _compute(values: Values) -> Compute | None:
    """Return the size that is asked for; None where none is, or it has a fault."""
    if values.layout.size is None or is_blank(values.document.value(values.layout.size)):
        return None
    resources = read_resources(values)
    return Compute(resources.size, resources.nodes) if resources.size else None


def _store(values: Values, store: StoreLayout) -> tuple[StoreRef, Credentials | None] | None:
    return read_store(values, store) if values.document.has(store.at) else None


def _check_plan(values: Values, framework: Framework | None, compute: Compute | None, rules: Reading) -> None:
    """Note what the account has not: the definition would be refused in every experiment."""
    if rules.account is None:
        return
    resources = Resources(compute.name, nodes=compute.nodes) if compute else None
    for problem in plan_problems(framework, resources, rules.account, rules.limits):
        at = values.layout.of_plan(problem.path) or values.layout.name
        values.faults.add(at, problem.message, problem.hint, problem.code)


def _definition_layout(document: Document) -> Layout:
    execution: Path = ("execution",)
    size = first_given(document, execution, "resource", "resourceType", "compute_configuration")
    inner = (*execution, "command")
    return Layout(
        family="wml",
        name=("name",),
        description=("description",),
        author=("author",),
        framework_name=("framework", "name"),
        framework_version=("framework", "version"),
        python=(*first_entry(document, ("framework", "runtimes")), "version"),
        command=inner if document.value(inner) else ("command",),
        hyperparameters=(*execution, "hyperparameters"),
        size=(*size, "name") if size[-1] == "compute_configuration" else size,
        nodes=(*execution, "compute_configuration", "nodes"),
        data=reference_layout(document, ("training_data_reference", "training_data"), "source"),
        results=reference_layout(document, _NO_RESULTS, "target"),
    )


_NO_RESULTS = ("training_results_reference", "training_results")


def _experiment_layout(document: Document) -> Layout:
    settings: Path = ("settings",)
    return Layout(
        family="wml",
        name=(*settings, "name"),
        description=(*settings, "description"),
        author=(*settings, "author"),
        framework_name=_NOWHERE,
        framework_version=_NOWHERE,
        command=_NOWHERE,
        nodes=_NOWHERE,
        data=reference_layout(document, ("training_data_reference",), "source"),
        results=reference_layout(document, _NO_RESULTS, "target"),
    )


def _of_reference(layout: Layout, at: Path) -> Layout:
    """Return the layout of one of an experiment's trainings, whose stores are the experiment's."""
    compute = (*at, "compute_configuration")
    return replace(
        layout, name=(*at, "name"), command=(*at, "command"), size=(*compute, "name"), nodes=(*compute, "nodes")
    )


def _reference_paths(document: Document) -> Iterator[Path]:
    listed = document.value((_REFERENCES,))
    for index, each in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(each, dict):
            yield (_REFERENCES, index)
