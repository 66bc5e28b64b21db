"""Write the reference pages from the code: python scripts/reference.py FOLDER

cli.md comes from the command line's own help, python.md from the docstrings of the Python API, rest.md from the
OpenAPI document. Wants the project's environment.
"""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

MADE = "<!-- Made by `make reference`; changes belong in the code. -->"
# What people get from a client, under the names that the page gives it.
CLASSES = {
    "client": "trainyard.client.client:Client",
    "run": "trainyard.client.run:Run",
    "experiment": "trainyard.client.experiment:Experiment",
    "client.data": "trainyard.client.data:Data",
    "client.documents": "trainyard.client.stored:StoredDocuments",
    "error": "trainyard.errors:TrainyardError",
}


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, write in {"cli": command_line, "python": python, "rest": rest}.items():
        (folder / f"{name}.md").write_text(f"{MADE}\n\n{write().strip()}\n", "utf-8")


# The command line


def command_line() -> str:
    """Return the help of all commands, as typer itself writes it down."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "cli.md")
        words = ("-m", "typer", "trainyard.cli.main", "utils", "docs", "--name", "trainyard", "--output", str(page))
        subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
        return page.read_text("utf-8")


# The Python API


def python() -> str:
    import trainyard

    texts = ["# Python API", "`from trainyard import Client` is all that a program needs."]
    for owner, place in CLASSES.items():
        texts += of_class(owner, resolve_name(place))
    for found in (getattr(trainyard, name) for name in trainyard.__all__):
        if issubclass(found, trainyard.TrainyardError) and found is not trainyard.TrainyardError:
            texts += [f"## {found.__name__}", prose(found)]  # its members are TrainyardError's
    return "\n\n".join(texts)


def of_class(owner: str, found: type) -> Iterator[str]:
    yield f"## {found.__name__}"
    if owner == "client":
        yield f"`{found.__name__}{signature(found)}`"
    yield prose(found)
    for name, member in public(found):
        yield from of_member(owner, name, member)


def public(found: type) -> list[tuple[str, Any]]:
    """Return the methods and properties of a class in the order in which they are written."""
    members = ((name, member) for name, member in vars(found).items() if not name.startswith("_"))
    return [(name, member) for name, member in members if callable(member) or isinstance(member, property)]


def of_member(owner: str, name: str, member: Any) -> Iterator[str]:
    if isinstance(member, property):
        yield f"### `{owner}.{name}`"
        yield prose(member.fget)
    else:
        yield f"### `{owner}.{name}{signature(member)}`"
        yield prose(member)


def signature(found: Any) -> str:
    full = inspect.signature(found)
    known = [each for name, each in full.parameters.items() if name != "self"]
    shown = str(full.replace(parameters=known))
    # Annotations are texts where they are not evaluated.
    return re.sub(r"(: | -> )'([^']*)'", r"\1\2", shown).removesuffix(" -> None")


def prose(found: Any) -> str:
    """Return a docstring; raise ValueError where there is none."""
    if not (found.__doc__ or "").strip():
        raise ValueError(f"{found.__qualname__} has no docstring")
    return inspect.cleandoc(found.__doc__)


# The REST interface


def rest() -> str:
    document = openapi()
    parts = [f"# REST interface\n\n{document['info']['description']} The codes are those of [errors](../errors.md)."]
    for path, verbs in sorted(document["paths"].items()):
        for verb, asked in verbs.items():
            parts += of_request(verb, path, asked)
    parts.append("# Bodies and answers")
    parts += [
        text for name, schema in sorted(document["components"]["schemas"].items()) for text in of_schema(name, schema)
    ]
    return "\n\n".join(part for part in parts if part)


def openapi() -> Mapping[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from trainyard.api.app import create_app

        found: Mapping[str, Any] = create_app().openapi()
        return found


def of_request(verb: str, path: str, asked: Mapping[str, Any]) -> Iterator[str]:
    yield f"## `{verb.upper()} /v3{path}`"
    yield asked.get("description") or asked.get("summary", "")
    rows = [
        (each["name"], each["in"], kind(each["schema"]), each.get("description", ""))
        for each in asked.get("parameters", [])
    ]
    yield table(("parameter", "in", "type", "meaning"), rows)
    if body := asked.get("requestBody"):
        yield "Body: " + ", ".join(
            f"`{form}` {kind(each.get('schema', {}))}".strip() for form, each in body["content"].items()
        )
    yield "\n".join(of_answer(status, answer) for status, answer in sorted(asked["responses"].items()))


def of_answer(status: str, answer: Mapping[str, Any]) -> str:
    shapes = [kind(each.get("schema", {})) for each in answer.get("content", {}).values()]
    codes = re.findall(r"\b[CS]\d{3}\b", answer["description"])
    words = ", ".join(codes) or answer["description"]
    return " ".join(filter(None, (f"- {status}: {words}", *shapes)))


def of_schema(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {name}"
    yield schema.get("description", "")
    needed = schema.get("required", ())
    fields = schema.get("properties", {}).items()
    rows = [
        (field, kind(each), "yes" if field in needed else "", each.get("description", "")) for field, each in fields
    ]
    yield table(("field", "type", "always", "meaning"), rows)
    if not fields:
        yield kind(schema)


def kind(schema: Mapping[str, Any]) -> str:
    """Return in words what a schema takes, with a link to the one that it names."""
    if named := schema.get("$ref"):
        name = named.rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(map(kind, choices)))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {kind(schema.get('items', {})) or 'anything'}"
    if isinstance(schema.get("additionalProperties"), Mapping):
        return f"map of {kind(schema['additionalProperties']) or 'anything'}"
    return str(schema.get("format") or schema.get("type", ""))


def table(names: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    head, *body = (
        f"| {' | '.join(map(cell, line))} |" for line in [names, *((f"`{one}`", *rest) for one, *rest in rows)]
    )
    return "\n".join([head, "|---" * len(names) + "|", *body])


def cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
