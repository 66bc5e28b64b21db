"""libyaml and PyYAML's own scanner read a manifest alike: values, places, and what is wrong with it."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from manifest_samples import FFDL, MANIFEST, change

from trainyard.errors import TrainyardError
from trainyard.manifest.document import read_document
from trainyard.manifest.events import PARSER, PurePythonParser, yaml_events

MIB = 1024 * 1024
REAL = sorted((Path(__file__).parents[1] / "manifests").glob("*.yml"))
EMOJI = "\N{GRINNING FACE}"

both = pytest.mark.parametrize(
    "read",
    [partial(read_document, max_bytes=MIB, parser=parser) for parser in (yaml.CSafeLoader, PurePythonParser)],
    ids=["libyaml", "pure"],
)


def everything(text: bytes, parser: Any) -> list[Any]:
    """Return all that is read of a text, or all that is wrong with it."""
    try:
        document = read_document(text, MIB, parser)
    except TrainyardError as error:
        return [(each.line, each.column, each.message, each.hint) for each in error.problems]
    return [(*each, document.key_position(each[0])) for each in document.scalars()]


def test_libyaml_is_used_where_it_is():
    assert PARSER is yaml.CSafeLoader


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name[:60])
def test_both_read_every_real_manifest_alike(path):
    data = path.read_bytes()
    assert everything(data, PurePythonParser) == everything(data, yaml.CSafeLoader)


@pytest.mark.parametrize(
    "text",
    [
        change(MANIFEST, "  name: tf-mnist", "  name:\ttf-mnist"),
        change(MANIFEST, "name: Ada", "name: Ada\tde"),
        change(FFDL, "gpus: 1\ncpus: 0.5", "gpus: 1\t\ncpus: 0.5\t# half"),
        "a: [x,\ty, {b:\tc}]\n",
        "a: b\n  \tc\n",
        "-\tb\n",
        "\tb: 1\n",
        "a: |\n\tx\n",
        "a:b\nc: 1\n",
        "a: 1\n  b: 2\n",
        "a:\n   b: 1\n  c: 2\n",
        "- a\nb: 1\n",
        "a: [1, 2\n",
        "a: {b: 1]\n",
        "a: 'x\nb: 1\n",
        'a: "x\n---\ny"\n',
        "a: @x\n",
        "a: - b\n",
        "a: ]\n",
        "a: *\n",
        "a: !x!y z\n",
        "a: 1\n...\nb: 1\n",
        "  a: 1\nb: 2\n",
    ],
)
def test_both_read_a_careless_text_alike(text):
    assert everything(text.encode(), PurePythonParser) == everything(text.encode(), yaml.CSafeLoader)


@pytest.mark.parametrize("escape", ["\\U00110000", "\\'", "\\q", "\\xZZ"])
def test_both_refuse_an_escape_that_is_none_within_a_column_or_two(escape):
    (libyaml,), (pure,) = (everything(f'a: 1\nb: "{escape}"\n'.encode(), each) for each in (PARSER, PurePythonParser))
    assert libyaml[0] == pure[0] == 2
    assert "backslash" in libyaml[2]
    assert libyaml[2:] == pure[2:]


@pytest.mark.parametrize("parser", [yaml.CSafeLoader, PurePythonParser])
def test_events_come_one_by_one_so_that_a_limit_ends_the_reading(parser):
    events = yaml_events("[" * 5000, parser)
    assert len([next(events) for _ in range(45)]) == 45


@both
@pytest.mark.parametrize("sign", ["\x85", "\u2028", "\u2029", "\ufeff"])
def test_a_character_that_ends_no_line_in_an_editor_ends_none_here(read, sign):
    document = read(f"a: x{sign}y\nb: 'x{sign}y'\nc: 1\n".encode())
    assert document.data == {"a": f"x{sign}y", "b": f"x{sign}y", "c": 1}
    assert document.position("c") == (3, 4)
    hidden = [(each.line, each.column) for _, scalar in document.scalars() for each in scalar.hidden]
    assert hidden == [(1, 5), (2, 6)]


@both
def test_a_carriage_return_alone_ends_a_line(read):
    document = read(b"a: 1\rb: |\r  x\r  y\r")
    assert document.data == {"a": 1, "b": "x\ny\n"}
    assert document.position("b") == (2, 4)


@both
@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (json.dumps(f"x{EMOJI}y"), f"x{EMOJI}y"),
        ('"\\U0000d83d\\U0000de00"', EMOJI),
        ('"\\\\ud83d"', "\\ud83d"),
        ('"\\\\\\ud83d\\ude00"', f"\\{EMOJI}"),
        ("'\\ud83d'", "\\ud83d"),
        ("\\ud83d\\ude00", "\\ud83d\\ude00"),
        ("\\\\ud83d", "\\\\ud83d"),
        ("|\n  \\ud83d", "\\ud83d\n"),
    ],
)
def test_an_escape_of_json_is_one_in_double_quotes_only(read, written, meant):
    document = read(f"a: {written}\nb: 1\n".encode())
    assert document.data == {"a": meant, "b": 1}


@both
def test_places_behind_such_an_escape_are_exact(read):
    assert read(b'{"a": "\\ud83d\\ude00", "b": 1}').position("b") == (1, 28)


@both
@pytest.mark.parametrize("written", ['"\\ud83d"', '"\\ude00\\ud83d"', '"\\ufdd0"', '"\\U0000FDD4"'])
def test_an_escape_that_makes_no_character_is_refused(read, written):
    with pytest.raises(TrainyardError) as caught:
        read(f"a: 1\nb: {written}\n".encode())
    (problem,) = caught.value.problems
    assert problem.message.startswith("a value holds a character that is not text: U+")
    assert (problem.line, problem.column) == (2, 4)


@both
@pytest.mark.parametrize("text", ["a: 1\n...\nb: 1\n", "{a: 1} b\n", "  a: 1\nb: 2\n"])
def test_what_stands_behind_the_end_of_a_manifest_is_said_to(read, text):
    with pytest.raises(TrainyardError) as caught:
        read(text.encode())
    assert caught.value.problems[0].message == "the text goes on behind the end of the manifest."
