"""The manifests of the 2017 service and of its later generations: where their values stand."""

from __future__ import annotations

from trainyard.manifest.document import Document, Path
from trainyard.manifest.faults import Faults
from trainyard.manifest.layout import Layout, StoreLayout, first_given, store_layout

_DEFINITION = ("model_definition",)


def wml_layout(document: Document) -> Layout:
    """Find every value, in whichever of the generations' spellings it is given."""
    execution = (*_DEFINITION, "execution")
    size = first_given(document, execution, "resource", "resourceType", "compute_configuration")
    return Layout(
        family="wml",
        name=(*_DEFINITION, "name"),
        description=(*_DEFINITION, "description"),
        author=(*_DEFINITION, "author"),
        framework_name=(*_DEFINITION, "framework", "name"),
        framework_version=(*_DEFINITION, "framework", "version"),
        python=(*_first_entry(document, (*_DEFINITION, "framework", "runtimes")), "version"),
        command=(*execution, "command"),
        hyperparameters=(*execution, "hyperparameters"),
        size=(*size, "name") if size[-1] == "compute_configuration" else size,
        nodes=(*execution, "compute_configuration", "nodes"),
        data=_store(document, ("training_data_reference", "training_data"), "source"),
        results=_store(document, ("training_results_reference", "training_results"), "target"),
    )


def check_wml(document: Document, layout: Layout, faults: Faults) -> None:
    """Note what the schema cannot say: the type at the reference and inside `source` or `target` must agree."""
    for store, side in ((layout.data, "source"), (layout.results, "target")):
        outer, inner = (*store.at, "type"), (*store.at, side, "type")
        if document.text(outer) and document.text(inner) and document.text(outer) != document.text(inner):
            faults.add(inner, "the type differs from the one of the reference.", "Keep one of them.", at_key=True)


def _store(document: Document, spellings: tuple[str, ...], side: str) -> StoreLayout:
    at = _first_entry(document, first_given(document, (), *spellings))
    outer, inner = (*at, "type"), (*at, side, "type")
    kind = inner if document.text(inner) else outer
    return store_layout(document, at, first_given(document, (*at, side), "bucket", "container"), kind)


def _first_entry(document: Document, path: Path) -> Path:
    """Return the path of the map itself, which some generations put into a list of one."""
    return (*path, 0) if document.has((*path, 0)) else path
