"""A manifest as a tree whose values may be any text at all, and how it is written as a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from random import Random
from typing import Any

from fuzz.scalars import raw_scalar
from trainyard.manifest.schema import schema_data

Path = tuple[Any, ...]


class Raw(str):
    """Stands in the file as it is, without quotes."""

    __slots__ = ()


@cache
def known_keys() -> tuple[str, ...]:
    """Return every key that a schema of the manifests has, and some that are none of theirs."""
    found = {key for name in ("manifest", "ffdl") for key in _properties(schema_data(name))}
    foreign = (
        "<<",
        "__class__",
        "passwd",
        "Password",
        "secret",
        "model-definition",
        "name ",
        "",
        "null",
        "1",
        "a.b[0]",
        "é" * 50,
    )
    return (*sorted(found), *foreign)


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the way to every value, the root's first."""
    yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths(inner, (*path, key))


def spoiled(rng: Random, tree: Any) -> Any:
    """Put a wrong value into one place of a tree: instead of one that is there, or under a key of the schemas."""
    path = rng.choice(list(paths(tree)))
    value = at(tree, path)
    if isinstance(value, dict) and rng.random() < 0.4:
        value[rng.choice(known_keys())] = wrong_value(rng)
        return tree
    if not path:
        return wrong_value(rng) if rng.random() < 0.2 else tree
    around = at(tree, path[:-1])
    if rng.random() < 0.15:
        del around[path[-1]]
    else:
        around[path[-1]] = _turned(rng, value)
    return tree


def at(tree: Any, path: Path) -> Any:
    for step in path:
        tree = tree[step]
    return tree


def wrong_value(rng: Random, level: int = 0) -> Any:
    """Return a value of any kind; lists and maps hold more of them."""
    kind = rng.randrange(10)
    if kind == 0 and level < 3:
        return [wrong_value(rng, level + 1) for _ in range(rng.randrange(4))]
    if kind == 1 and level < 3:
        return {rng.choice(known_keys()): wrong_value(rng, level + 1) for _ in range(rng.randrange(4))}
    if kind == 2:
        return rng.choice((None, True, False, 0, -1, 2**63, 0.1, 1e300, [], {}, ""))
    return Raw(raw_scalar(rng))


def written(value: Any, indent: int = 0) -> str:
    """Write a tree as YAML in blocks; Raw stands as it is."""
    pad = " " * indent
    if isinstance(value, dict) and value:
        return "\n" + "\n".join(f"{pad}{_key(key)}: {written(inner, indent + 2)}" for key, inner in value.items())
    if isinstance(value, list) and value:
        return "\n" + "\n".join(f"{pad}- {written(inner, indent + 2)}" for inner in value)
    return str(value) if isinstance(value, Raw) else json.dumps(value)


def _turned(rng: Random, value: Any) -> Any:
    """Return a value in place of this one: another, or this one wrapped as people misunderstand lists and maps."""
    turn = rng.randrange(8)
    if turn == 0:
        return [value]
    if turn == 1:
        return {"name": value}
    if turn == 2 and isinstance(value, list):
        return value * rng.randrange(3) if rng.random() < 0.5 else value[:1] * 500
    return wrong_value(rng)


def _key(key: Any) -> str:
    return key if isinstance(key, str) and key.isidentifier() else json.dumps(key)


def _properties(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        for inner in schema.values():
            yield from _properties(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _properties(inner)
