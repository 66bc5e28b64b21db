"""Compose the events of the YAML parser into nodes with places, safe against hostile text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
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
from ruamel.yaml.scanner import Scanner, ScannerError

from trainyard.errors import Problem
from trainyard.manifest.characters import HiddenCharacter, character_name, hidden_in
from trainyard.manifest.nodes import Mapping, Node, Pair, Scalar, Sequence

# A real manifest has 60 values, 6 levels and keys of 30 characters.
MOST_VALUES = 10_000
MOST_LEVELS = 40
LONGEST_KEY = 200
NO_WORD = "a key is not a word."
_LONGEST_TAG = 200
_TAGS_THAT_SAY_NOTHING = {None, "!", *(f"tag:yaml.org,2002:{kind}" for kind in ("str", "map", "seq"))}
_TORN = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_END = (DocumentEndEvent, StreamStartEvent, StreamEndEvent)


class Unreadable(Exception):  # noqa: N818 - carries a problem out of the recursion, never leaves this package
    """The rest of the text is not worth reading."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class Composer:
    """Build the nodes of one document; `problems` fills with what does not hinder reading on."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._anchors: dict[str, Node | None] = {}
        self._values = 0
        self._text = ""

    def compose(self, text: str) -> Node | None:
        """Return the root node, None for an empty document.

        Raise Unreadable, or whatever the parser raises on text that is not YAML.
        """
        events = _events(text)
        self._text = text
        root: Node | None = None
        documents = 0
        for event in events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _unreadable(event, "a second document starts.", "Hand in one manifest a file.")
            elif not isinstance(event, _END):
                root = self._node(event, events, 1)
        return root

    def _node(self, event: Any, events: Iterator[Any], level: int) -> Node:
        self._count(event, 1)
        if level > MOST_LEVELS:
            raise _unreadable(event, f"the values are nested over {MOST_LEVELS} deep.", "A manifest needs 6 levels.")
        if isinstance(event, AliasEvent):
            return self._alias(event)
        self._check_tag(event)
        if isinstance(event, ScalarEvent):
            return self._anchored(event, self._scalar(event))
        return self._container(event, events, level)

    def _container(self, event: Any, events: Iterator[Any], level: int) -> Node:
        line, column = _place(event)
        if event.anchor:
            self._anchors[event.anchor] = None
        before = self._values
        node: Sequence | Mapping
        if isinstance(event, SequenceStartEvent):
            node = Sequence(line, column, self._items(events, level))
        else:
            node = Mapping(line, column, self._pairs(events, level))
        node.size = self._values - before + 1
        self._anchored(event, node)
        return node

    def _items(self, events: Iterator[Any], level: int) -> list[Node]:
        return [self._node(event, events, level + 1) for event in _until(SequenceEndEvent, events)]

    def _pairs(self, events: Iterator[Any], level: int) -> dict[str, Pair]:
        pairs: dict[str, Pair] = {}
        merged: list[Node] = []
        for event in _until(MappingEndEvent, events):
            key = self._node(event, events, level + 1)
            value = self._node(next(events), events, level + 1)
            if isinstance(key, Scalar) and key.bare and key.text == "<<":
                merged.append(value)
            else:
                self._add(pairs, key, value)
        for node in merged:
            self._merge(pairs, node)
        return pairs

    def _add(self, pairs: dict[str, Pair], key: Node, value: Node) -> None:
        if not isinstance(key, Scalar) or len(key.text) > LONGEST_KEY:
            self._problem(key, NO_WORD, f"Keys are words of at most {LONGEST_KEY} characters.")
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
        text = _joined(event.value)
        hidden = hidden_in(text, self._text[event.start_mark.index : event.end_mark.index], line, column)
        node = Scalar(text, bare, line, column, folded=event.style == ">", hidden=hidden)
        if found := _CONTROL.search(node.text) or _TORN.search(node.text):
            message = f"a value holds a character that is not text: {character_name(found[0])}."
            self._problem(node, message, "Remove its escape sequence.")
        return node

    def _alias(self, event: Any) -> Node:
        line, column = _place(event)
        node = self._anchors.get(event.anchor)
        if node is None:
            # Its name is not told: a password that begins with * is read as an alias.
            self._problem(
                Scalar("", False, line, column),
                "* refers to an anchor that is not defined before.",
                "Put a value that begins with * in quotes.",
            )
            return Scalar("", False, line, column)
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
            self._problem(Scalar("", False, line, column), "a YAML tag is not read here.", hint)

    def _count(self, event: Any, values: int) -> None:
        self._values += values
        if self._values > MOST_VALUES:
            message = f"the file unfolds to over {MOST_VALUES} values."
            raise _unreadable(event, message, "A manifest has some dozens; write it without anchors.")

    def _problem(self, node: Node, message: str, hint: str) -> None:
        self.problems.append(Problem(message, hint, line=node.line, column=node.column))


class _BoundedScanner(Scanner):
    """The parser's scanner, mended: it takes 15 s for a tag of a megabyte, and no tab behind a colon."""

    def scan_to_next_token(self) -> Any:
        """Skip what separates tokens, tabs behind a colon included, which YAML allows and the parser does not."""
        while True:
            super().scan_to_next_token()
            if self.allow_simple_key or self.reader.peek() != "\t":
                return
            while self.reader.peek() in " \t":
                self.reader.forward()

    def scan_tag(self) -> Any:
        if not re.search(r"\s|\0", self.reader.prefix(_LONGEST_TAG)):
            mark = self.reader.get_mark()
            raise ScannerError(None, None, "found a tag without end", mark)
        return super().scan_tag()

    def fetch_more_tokens(self) -> Any:
        """Read on; what is raised without a place, as of an escape sequence beyond Unicode, gets one."""
        try:
            return super().fetch_more_tokens()
        except YAMLError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the text's
            raise ScannerError(None, None, str(error), self.reader.get_mark()) from None


def _events(text: str) -> Iterator[Any]:
    parser = YAML(typ="safe", pure=True)
    parser.Scanner = _BoundedScanner
    return iter(parser.parse(text))


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


def _joined(text: str) -> str:
    r"""JSON writes one character beyond U+FFFF as two escapes, `\ud83d\ude00`."""
    if not _TORN.search(text):
        return text
    try:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        return text
