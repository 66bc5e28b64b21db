"""The values of a manifest's text together with the place where each was written."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TypeAlias

from trainyard.manifest.characters import HiddenCharacter

# What a bare scalar means: null, booleans and numbers of YAML 1.2's core schema, in decimal. YAML 1.1, and PyYAML's own
# resolver with it, also takes yes, on, 0123, 1_000, 12:30:45 and 2017-11-16 for something else than their text.
NULL = re.compile("|~|null|Null|NULL")
BOOLEAN = re.compile("true|True|TRUE|false|False|FALSE")
# Eighteen digits fit every machine's integer; a longer number, like one with leading zeros, is kept as its text.
INTEGER = re.compile(r"[+-]?(0|[1-9]\d{0,17})")
FLOAT = re.compile(r"[+-]?(\d{1,30}\.\d{0,30}|\.\d{1,30})([eE][+-]?\d{1,4})?|[+-]?\d{1,30}[eE][+-]?\d{1,4}")

Value: TypeAlias = "dict[str, Value] | list[Value] | str | int | float | bool | None"


@dataclass(frozen=True)
class Scalar:
    """A single value: its text, and whether it stood bare, so that YAML may take it for a number.

    `folded` says that it was a block after `>`; `hidden` are the characters in it that nobody sees.
    """

    text: str
    bare: bool
    line: int
    column: int
    size: int = 1
    folded: bool = False
    hidden: tuple[HiddenCharacter, ...] = ()

    @property
    def data(self) -> Value:
        return _bare_value(self.text) if self.bare else self.text


@dataclass
class Sequence:
    line: int
    column: int
    items: list[Node] = field(default_factory=list)
    size: int = 1

    @property
    def data(self) -> Value:
        return [item.data for item in self.items]


@dataclass(frozen=True)
class Pair:
    """One key of a mapping, where it stands, and its value."""

    line: int
    column: int
    node: Node


@dataclass
class Mapping:
    line: int
    column: int
    pairs: dict[str, Pair] = field(default_factory=dict)
    size: int = 1

    @property
    def data(self) -> Value:
        return {key: pair.node.data for key, pair in self.pairs.items()}


Node: TypeAlias = Scalar | Sequence | Mapping


def _bare_value(text: str) -> Value:
    if NULL.fullmatch(text):
        return None
    if BOOLEAN.fullmatch(text):
        return text.lower() == "true"
    if INTEGER.fullmatch(text):
        return int(text)
    if FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text
