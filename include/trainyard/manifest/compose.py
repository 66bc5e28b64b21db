"""Compose the events of the YAML parser into nodes with places, safe against hostile text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from trainyard.errors import Problem
from trainyard.manifest.characters import HiddenCharacter, character_name, hidden_in
from trainyard.manifest.events import PARSER, yaml_events
from trainyard.manifest.nodes import Mapping, Node, Pair, Scalar, Sequence
from trainyard.manifest.source import as_written, as_yaml

# A real manifest has 60 values, 6 levels and keys of 30 characters.
MAX_VALUES = 10_000
MAX_DEPTH = 40
MAX_KEY_LENGTH = 200
INVALID_KEY = "a key is not a word."
_TAGS_THAT_SAY_NOTHING = {None, "!", *(f"tag:yaml.org,2002:{kind}" for kind in ("str", "map", "seq"))}
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufdd0-\ufdef]")
_END = (DocumentEndEvent, StreamStartEvent, StreamEndEvent)


class Unreadable(Exception):  # noqa: N818 - carries a problem out of the recursion, never leaves this package
    """The rest of the text is not worth reading."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class Composer:
    """Build the nodes of one document; `problems` fills with what does not hinder reading on."""

    def __init__(self, parser: Any = PARSER) -> None:
        self.problems: list[Problem] = []
        self._parser = parser
        self._anchors: dict[str, Node | None] = {}
        self._values = 0
        self._text = ""

    def compose(self, text: str) -> Node | None:
        """Return the root node, None for an empty document.

        Raise Unreadable, or whatever the parser raises on text that is not YAML.
        """
        events = yaml_events(as_yaml(text), self._parser)
        self._text = text
        root: Node | None = None
        documents = 0
        for event in events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _unreadable(event, "a second document starts.", "Submit one manifest a file.")
            elif not isinstance(event, _END):
                root = self._node(event, events, 1)
        return root

    def _node(self, event: Any, events: Iterator[Any], depth: int) -> Node:
        self._count(event, 1)
        if depth > MAX_DEPTH:
            raise _unreadable(event, f"the values are nested over {MAX_DEPTH} deep.", "A manifest needs 6 levels.")
        if isinstance(event, AliasEvent):
            return self._alias(event)
        self._check_tag(event)
        if isinstance(event, ScalarEvent):
            return self._anchored(event, self._scalar(event))
        return self._container(event, events, depth)

    def _container(self, event: Any, events: Iterator[Any], depth: int) -> Node:
        line, column = _place(event)
        if event.anchor:
            self._anchors[event.anchor] = None
        before = self._values
        node: Sequence | Mapping
        if isinstance(event, SequenceStartEvent):
            node = Sequence(line, column, self._items(events, depth))
        else:
            node = Mapping(line, column, self._pairs(events, depth))
        node.size = self._values - before + 1
        self._anchored(event, node)
        return node

    def _items(self, events: Iterator[Any], depth: int) -> list[Node]:
        return [self._node(event, events, depth + 1) for event in _until(SequenceEndEvent, events)]

    def _pairs(self, events: Iterator[Any], depth: int) -> dict[str, Pair]:
        pairs: dict[str, Pair] = {}
        merged: list[Node] = []
        for event in _until(MappingEndEvent, events):
            key = self._node(event, events, depth + 1)
            value = self._node(next(events), events, depth + 1)
            if isinstance(key, Scalar) and key.bare and key.text == "<<":
                merged.append(value)
            else:
                self._add(pairs, key, value)
        for node in merged:
            self._merge(pairs, node)
        return pairs

    def _add(self, pairs: dict[str, Pair], key: Node, value: Node) -> None:
        if not isinstance(key, Scalar) or len(key.text) > MAX_KEY_LENGTH:
            self._problem(key, INVALID_KEY, f"Keys are words of at most {MAX_KEY_LENGTH} characters.")
        elif key.hidden:
            self._hidden_in_key(key, key.hidden[0])
        elif key.text in pairs:
            first = pairs[key.text].line
            self._problem(key, f"{key.text} is given twice, first in line {first}.", "Keep one of them.")
        else:
            pairs[key.text] = Pair(key.line, key.column, value)

    def _hidden_in_key(self, key: Scalar, found: HiddenCharacter) -> None:
        # A text with these may be a torn address, and hold a password.
        named = "" if "@" in key.text or "://" in key.text else f" {key.text[:60]}"
        message = f"the key{named} holds {found.name}, which nobody sees."
        self.problems.append(Problem(message, "Remove it; indent with plain blanks.", "", found.line, found.column))

    def _merge(self, pairs: dict[str, Pair], node: Node) -> None:
        sources = node.items if isinstance(node, Sequence) else [node]
        for source in sources:
            if isinstance(source, Mapping):
                for key, pair in source.pairs.items():
                    pairs.setdefault(key, pair)
            else:
                self._problem(source, "<< merges something that is not a map.", "Write the keys out.")

    def _scalar(self, event: Any) -> Scalar:
        line, column = _place(event)
        bare = not event.style and event.tag is None
        text = as_written(event.value, escaped=event.style == '"')
        hidden = hidden_in(text, self._text[event.start_mark.index : event.end_mark.index], line, column)
        node = Scalar(text, bare, line, column, folded=event.style == ">", hidden=hidden)
        if found := _NO_TEXT.search(text):
            message = f"a value holds a character that is not text: {character_name(found[0])}."
            self._problem(node, message, "Remove its escape sequence.")
        return node

    def _alias(self, event: Any) -> Node:
        node = self._anchors.get(event.anchor)
        if node is None:
            # Its name is not shown: a password that begins with * is read as an alias.
            node = Scalar("", False, *_place(event))
            message = "* refers to an anchor that is not defined before."
            self._problem(node, message, "Put a value that begins with * in quotes.")
            return node
        self._count(event, node.size)
        return node

    def _anchored(self, event: Any, node: Node) -> Node:
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _check_tag(self, event: Any) -> None:
        if event.tag not in _TAGS_THAT_SAY_NOTHING:
            line, column = _place(event)
            hint = "Remove it; put a value that begins with ! in quotes."
            self.problems.append(Problem("a YAML tag is not read here.", hint, line=line, column=column))

    def _count(self, event: Any, values: int) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            message = f"the file unfolds to over {MAX_VALUES} values."
            raise _unreadable(event, message, "A manifest has some dozens; write it without anchors.")

    def _problem(self, node: Node, message: str, hint: str) -> None:
        self.problems.append(Problem(message, hint, line=node.line, column=node.column))


def _until(end: type, events: Iterator[Any]) -> Iterator[Any]:
    for event in events:
        if isinstance(event, end):
            return
        yield event


def _place(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _unreadable(event: Any, message: str, hint: str) -> Unreadable:
    line, column = _place(event)
    return Unreadable(Problem(message, hint, line=line, column=column))
