"""A YAML or JSON file as plain data that still knows where each value stands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, TypeAlias

from trainyard.errors import Problem, TrainyardError
from trainyard.manifest.compose import Composer, Unreadable
from trainyard.manifest.events import PARSER
from trainyard.manifest.nodes import Mapping, Node, Pair, Scalar, Sequence, Value
from trainyard.manifest.source import decode
from trainyard.manifest.syntax import name_templates, syntax_problems

Path: TypeAlias = "tuple[str | int, ...]"
_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")
_EMPTY = Problem("the file is empty.", "Submit a manifest.")
_MAX_PROBLEMS = 100


class Document:
    """The data of a file, with the line, the column and the source text of every value."""

    def __init__(self, root: Node) -> None:
        self._root = root

    @property
    def root(self) -> Node:
        """The values with their places, as a whole."""
        return self._root

    @cached_property
    def data(self) -> Value:
        return self._root.data

    def has(self, path: Path) -> bool:
        return self._find(path) is not None

    def position(self, path: str | Path) -> tuple[int, int] | None:
        """Return line and column, from 1: of a scalar itself, of anything else (or nothing) the key that holds it."""
        found = self._find(path)
        if found is None:
            return None
        return _place(found.node) if isinstance(found.node, Scalar) and found.node.text else _place(found)

    def key_position(self, path: str | Path) -> tuple[int, int] | None:
        found = self._find(path)
        return None if found is None else _place(found)

    def nearest_position(self, path: Path, *, at_key: bool = False) -> tuple[int, int]:
        """Return the place of a value, or of the nearest map around it where it is missing."""
        find = self.key_position if at_key else self.position
        around = (find(path[:length]) for length in range(len(path), -1, -1))
        return next(place for place in around if place)

    def text(self, path: str | Path) -> str | None:
        """Return the source text of a scalar, `0.10` for the number 0.1; None for anything else."""
        found = self._find(path)
        return found.node.text if found and isinstance(found.node, Scalar) else None

    def is_folded(self, path: str | Path) -> bool:
        """Say whether a value is a block after `>`."""
        found = self._find(path)
        return found is not None and isinstance(found.node, Scalar) and found.node.folded

    def scalars(self) -> Iterator[tuple[Path, Scalar]]:
        """Yield every single value with its path, in the order of the file."""
        yield from _scalars(self._root, ())

    def value(self, path: str | Path) -> Any:
        """Return the data at a path, None where there is none."""
        found = self._find(path)
        return None if found is None else found.node.data

    def _find(self, path: str | Path) -> Pair | None:
        found: Pair | None = Pair(*_place(self._root), self._root)
        for step in split_path(path) if isinstance(path, str) else path:
            found = found and _child(found.node, step)
        return found


def read_document(data: bytes, max_bytes: int, parser: Any = PARSER) -> Document:
    """Read a YAML or JSON file; raise TrainyardError C101 with everything that is wrong with its text."""
    text, problems = decode(data, max_bytes)
    if problems:
        raise TrainyardError.refused(problems)
    root, problems = _parse(text, parser)
    if root is None or problems:
        raise TrainyardError.refused(problems[:_MAX_PROBLEMS] or [_EMPTY])
    return Document(root)


def split_path(path: str) -> Path:
    """Read a path such as `training_data_reference[0].source.type` into its steps."""
    return tuple(int(index) if index else key for index, key in _STEP.findall(path))


def join_path(path: Iterable[str | int]) -> str:
    joined = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return joined.removeprefix(".")


def _parse(text: str, parser: Any) -> tuple[Node | None, list[Problem]]:
    composer = Composer(parser)
    try:
        return composer.compose(text), name_templates(text, composer.problems)
    except Unreadable as error:
        return None, [*name_templates(text, composer.problems), error.problem]
    except Exception as error:  # noqa: BLE001 - hostile text makes the parser raise more than its own family
        return None, _distinct([*name_templates(text, composer.problems), *syntax_problems(text, error)])


def _distinct(problems: list[Problem]) -> list[Problem]:
    """Leave out what was noticed twice: by its key, and by the parser that could not go on behind it."""
    return list({(each.line, each.column): each for each in reversed(problems)}.values())[::-1]


def _child(node: Node, step: str | int) -> Pair | None:
    if isinstance(node, Mapping) and isinstance(step, str):
        return node.pairs.get(step)
    if isinstance(node, Sequence) and isinstance(step, int) and 0 <= step < len(node.items):
        item = node.items[step]
        return Pair(item.line, item.column, item)
    return None


def _scalars(node: Node, path: Path) -> Iterator[tuple[Path, Scalar]]:
    if isinstance(node, Scalar):
        yield path, node
    elif isinstance(node, Mapping):
        for key, pair in node.pairs.items():
            yield from _scalars(pair.node, (*path, key))
    else:
        for index, item in enumerate(node.items):
            yield from _scalars(item, (*path, index))


def _place(thing: Node | Pair) -> tuple[int, int]:
    return thing.line, thing.column
