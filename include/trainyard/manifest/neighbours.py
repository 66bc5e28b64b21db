"""Read what the REST interfaces of 2018 and later took and answered, as the manifest that says the same.

Values keep their places in the file, so that a problem is reported where it stands; its path is that of the manifest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from trainyard.manifest.document import Document
from trainyard.manifest.nodes import Mapping, Node, Pair, Scalar, Sequence

_SIDES = {
    "training_data_reference": "source",
    "training_data": "source",
    "training_results_reference": "target",
    "training_results": "target",
}
# What an answer of the service had beside the manifest.
_OF_ANSWER = {"status", "training_results_url", "output", "deployments"}
_V4_ROOT = {
    "model_definition",
    "training_data_references",
    "results_reference",
    "name",
    "description",
    "space_id",
    "project_id",
    "tags",
    "custom",
}
_V4_MODEL = {"id", "rev", "href", "name", "command", "software_spec", "hardware_spec", "parameters", "model_type"}
_SOFTWARE = re.compile(r"(?P<name>[a-z][a-z-]*?)(?:-onnx)?_(?P<version>\d+(?:\.\d+)+)-py(?P<python>\d(?:\.\d+)?)")


@dataclass
class _Rewriting:
    """The notes of one document: line, and what of it has no effect."""

    notes: list[tuple[int, str]] = field(default_factory=list)

    def left_out(self, mapping: Mapping, names: set[str], why: str) -> Mapping:
        """Return a map without some of its keys, each of which is noted."""
        for name in names & mapping.pairs.keys():
            self.notes.append((mapping.pairs[name].line, f"{name} is not read: {why}"))
        return _without(mapping, names)


def as_manifest(document: Document) -> tuple[Document, tuple[tuple[int, str], ...]]:
    """Return the manifest that a document of a REST interface says, and notes of line and sentence.

    Any other document is returned as it is, also one of them that says something no manifest can.
    """
    root = document.root
    if not isinstance(root, Mapping):
        return document, ()
    work = _Rewriting()
    inner = _entity(work, root)
    found = _of_v4(work, inner) if _is_v4(inner) else _of_v3(work, inner)
    return (document, ()) if found is root else (Document(found), tuple(sorted(work.notes)))


def _entity(work: _Rewriting, root: Mapping) -> Mapping:
    """Return what an answer holds as its entity; the document itself where it is none."""
    entity = root.pairs.get("entity")
    if entity is None or not {"metadata", "status"} & root.pairs.keys() or not isinstance(entity.node, Mapping):
        return root
    model = _node(entity.node, "model_definition")
    if not isinstance(model, Mapping) or not model.pairs:
        return root
    work.notes.append((entity.line, "this is an answer of a service; what is below entity is read"))
    return _without(entity.node, _OF_ANSWER)


def _of_v3(work: _Rewriting, root: Mapping) -> Mapping:
    model = _node(root, "model_definition")
    found = root
    if isinstance(model, Mapping) and "definition_href" in model.pairs:
        shorter = work.left_out(model, {"definition_href"}, "the program is the zip that is submitted")
        found = _with(found, "model_definition", shorter)
    for name, side in _SIDES.items():
        if name in found.pairs:
            node = found.pairs[name].node
            moved = _each(node, side)
            found = _with(found, name, moved) if moved is not node else found
    return found


def _each(node: Node, side: str) -> Node:
    """Return a store's reference, or a list of them, with `location` under the name that a manifest has for it."""
    if isinstance(node, Sequence):
        items = [_each(item, side) for item in node.items]
        return node if all(a is b for a, b in zip(items, node.items, strict=True)) else replace(node, items=items)
    if not isinstance(node, Mapping) or "location" not in node.pairs or side in node.pairs:
        return node
    pairs = {side if key == "location" else key: pair for key, pair in node.pairs.items()}
    return replace(node, pairs=pairs)


def _is_v4(root: Mapping) -> bool:
    model = _node(root, "model_definition")
    own = {"software_spec", "hardware_spec"} & model.pairs.keys() if isinstance(model, Mapping) else set()
    return bool(own) or {"training_data_references", "results_reference"} <= root.pairs.keys()


def _of_v4(work: _Rewriting, root: Mapping) -> Mapping:
    """Return the manifest of a v4 training; the same where its parts are not those of one program with a framework."""
    model = _node(root, "model_definition")
    if not isinstance(model, Mapping) or root.pairs.keys() - _V4_ROOT or model.pairs.keys() - _V4_MODEL:
        return root
    software, hardware = _node(model, "software_spec"), _node(model, "hardware_spec")
    framework = _framework(software) if isinstance(software, Mapping) else None
    if framework is None:
        return root
    shorter = work.left_out(model, {"id", "rev", "href", "parameters", "model_type"}, "the zip is the program")
    work.left_out(root, {"space_id", "project_id", "tags", "custom"}, "an account takes its place")
    name = root.pairs.get("name") or model.pairs.get("name")
    size = {key: pair for key, pair in hardware.pairs.items() if key != "id"} if isinstance(hardware, Mapping) else {}
    execution = {
        "command": shorter.pairs.get("command"),
        "compute_configuration": _pair(model, _map(model, size)) if size else None,
    }
    definition = {
        "name": name,
        "description": root.pairs.get("description"),
        "framework": _pair(model, framework),
        "execution": _pair(model, _map(model, execution)),
    }
    data, results = root.pairs.get("training_data_references"), root.pairs.get("results_reference")
    return _map(
        root,
        {
            "model_definition": _pair(model, _map(model, definition)),
            "training_data_reference": _store(work, data, "source"),
            "training_results_reference": _store(work, results, "target"),
        },
    )


def _framework(software: Mapping) -> Mapping | None:
    """Return the framework that the name of a software specification says, None for one that says none."""
    name = _node(software, "name")
    match = _SOFTWARE.fullmatch(name.text.strip().lower()) if isinstance(name, Scalar) else None
    if match is None or not isinstance(name, Scalar):
        return None

    def word(text: str) -> Pair:
        return _pair(name, Scalar(text, False, name.line, name.column))

    python = _map(name, {"name": word("python"), "version": word(match["python"])})
    parts = {"name": word(match["name"]), "version": word(match["version"]), "runtimes": _pair(name, python)}
    return _map(name, parts)


def _store(work: _Rewriting, pair: Pair | None, side: str) -> Pair | None:
    if pair is None:
        return None
    moved = _each(pair.node, side)
    return replace(pair, node=_without_schema(work, moved))


def _without_schema(work: _Rewriting, node: Node) -> Node:
    if isinstance(node, Sequence):
        return replace(node, items=[_without_schema(work, item) for item in node.items])
    if not isinstance(node, Mapping):
        return node
    return work.left_out(node, {"schema", "id"}, "every object of the bucket is there")


def _node(mapping: Mapping, key: str) -> Node | None:
    return mapping.pairs[key].node if key in mapping.pairs else None


def _without(mapping: Mapping, names: set[str]) -> Mapping:
    return replace(mapping, pairs={key: pair for key, pair in mapping.pairs.items() if key not in names})


def _with(mapping: Mapping, key: str, node: Node) -> Mapping:
    return replace(mapping, pairs={**mapping.pairs, key: replace(mapping.pairs[key], node=node)})


def _map(at: Node, pairs: dict[str, Pair] | dict[str, Pair | None]) -> Mapping:
    return Mapping(at.line, at.column, dict(_given(pairs)))


def _given(pairs: dict[str, Pair] | dict[str, Pair | None]) -> Iterator[tuple[str, Pair]]:
    for key, pair in pairs.items():
        if pair is not None:
            yield key, pair


def _pair(at: Node, node: Node) -> Pair:
    return Pair(at.line, at.column, node)
