"""A YAML or JSON file is read with the place of every value, and everything wrong with its text is told."""

from __future__ import annotations

import time

import pytest

from trainyard.errors import Problem, TrainyardError
from trainyard.manifest.document import Document, join_path, read_document, split_path

MIB = 1024 * 1024


def read(text: str | bytes) -> Document:
    return read_document(text if isinstance(text, bytes) else text.encode(), MIB)


def problems(text: str | bytes) -> tuple[Problem, ...]:
    with pytest.raises(TrainyardError) as caught:
        read(text)
    assert caught.value.code.code == "C101"
    return caught.value.problems


def reported(text: str | bytes) -> list[tuple[int | None, str]]:
    return [(problem.line, problem.message) for problem in problems(text)]


def test_values_come_back_as_plain_data():
    document = read("a: {b: [1, 1.5, true, ~, no, '2', text]}\n")
    assert document.data == {"a": {"b": [1, 1.5, True, None, "no", "2", "text"]}}


@pytest.mark.parametrize("text", ["0123", "1_000", "0x1F", "2017-11-16", ".inf", ".nan", "1e999", "9" * 30, "12:30:45"])
def test_what_only_looks_like_a_number_stays_text(text):
    assert read(f"a: {text}").data == {"a": text}


def test_the_source_text_of_a_number_is_kept():
    document = read("version: 0.10\nsecret: 0012\n")
    assert document.text("version") == "0.10"
    assert document.value("version") == 0.1
    assert document.text("secret") == "0012"


def test_places_are_those_of_values_and_of_the_keys_of_maps():
    document = read("a:\n  - b: x\n    c:\n      d: 1\n")
    assert document.position("a[0].b") == (2, 8)
    assert document.position("a[0].c") == (3, 5)
    assert document.position("a[0].c.d") == (4, 10)
    assert document.position("a[1]") is None
    assert document.position("a[0].nothing.below") is None


def test_the_place_of_an_empty_value_is_its_key():
    assert read("a:\nb: 1\n").position("a") == (1, 1)


def test_json_is_read_with_its_places_however_it_is_indented():
    document = read('{\n\t"a"\n\t:\t"x\\/\\ud83d\\ude00",\n\t"b":[1,2]\n}')
    assert document.data == {"a": "x/\N{GRINNING FACE}", "b": [1, 2]}
    assert document.position("b[1]") == (4, 9)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_is_read_with_and_without_a_byte_order_mark(encoding):
    assert read("name: Größe\r\nb: 1\r\n".encode(encoding)).data == {"name": "Größe", "b": 1}


def test_a_tab_after_a_value_or_before_a_comment_harms_nothing():
    assert read("a: x\t\nb: y\t# comment\nc: 'z'\t\r\n").data == {"a": "x", "b": "y", "c": "z"}


def test_every_line_that_is_indented_with_a_tab_is_told():
    text = "a:\n\tb: 1\n  \tc: 2\n\t# comment\n"
    assert [(p.line, p.column) for p in problems(text)] == [(2, 1), (3, 3)]
    assert {p.hint for p in problems(text)} == {"Use spaces."}


def test_every_repeated_key_is_told_with_the_line_of_the_first():
    assert reported("a: 1\nb: 2\na: 3\nb: 4\n") == [
        (3, "a is given twice, first in line 1."),
        (4, "b is given twice, first in line 2."),
    ]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", None, "empty"),
        ("# only a comment\n", None, "empty"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("a: 'x\nb: 1\n", 1, "never closed"),
        ("a: 1\n  b: 2\n", 2, "colon stands where no key can be"),
        ("a:b\nc: 1\n", 1, "no colon"),
        ("a: [1, 2\n", 1, "not closed"),
        ("a: @x\n", 1, "keeps for itself"),
        ('a: "\\q"\n', 1, "backslash"),
        ("a:\n   b: 1\n  c: 2\n", 3, "indented"),
        ("a: !!python/object:os.system x\n", 1, "tag"),
        ("? [a, b]\n: 1\n", 1, "key is not a word"),
        ("a: *nowhere\n", 1, "anchor"),
        ("a: &x [*x]\n", 1, "anchor"),
        ("a: x\0y\n", 1, "U+0000"),
        ('a: "x\\0y"\n', 1, "not text"),
        ('a: "\\ud83d"\n', 1, "not text"),
        (b"a: \xff\n", 1, "not UTF-8"),
        (b"a: 1\nb: \xe9t\xe9\n", 2, "not UTF-8"),
        ("%YAML " + "9" * 5000 + "\n---\na: 1\n", 1, "not YAML"),
        ('a: 1\nb: "\\U99999999"\n', 2, "backslash"),
        ('a: 1\nb: "\\U00110000"\n', 2, "backslash"),
    ],
)
def test_text_that_is_no_manifest_is_refused_with_line_and_sentence(text, line, words):
    found = problems(text)
    assert found[0].line == line
    assert words in found[0].message
    assert all(problem.hint for problem in found)


def test_a_key_that_is_no_text_is_taken_by_its_source():
    assert read("1: a\nyes: b\n~: c\n").data == {"1": "a", "yes": "b", "~": "c"}


def test_standard_string_tags_and_merged_maps_are_read():
    assert read("a: !!str 1.5\n").data == {"a": "1.5"}
    document = read("x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\nz: {<<: [*x, {c: 4}]}\n")
    assert document.value("y") == {"a": 1, "b": 3}
    assert document.value("z") == {"a": 1, "b": 2, "c": 4}


def test_no_message_quotes_a_value_that_may_be_a_secret():
    for text in (
        "password: *sEcReT",
        "password: !sEcReT x",
        "password: @sEcReT",
        "password:sEcReT\nb: 1",
        "a: 'sEcReT",
    ):
        assert "sEcReT" not in str([(p.message, p.hint, p.seen) for p in problems(text)])


def test_a_file_beyond_the_limit_is_refused_unread():
    with pytest.raises(TrainyardError) as caught:
        read_document(b"a: 1\n" * 10, 40)
    assert "50 bytes" in caught.value.problems[0].message


def test_nesting_ends_at_forty_levels():
    assert read("[" * 39 + "x" + "]" * 39)
    assert "nested over 40" in problems("[" * 41 + "]" * 41)[0].message


def test_anchors_that_explode_are_refused():
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
    assert "unfolds to over" in problems(bomb)[-1].message


@pytest.mark.parametrize(
    "text",
    [
        "[" * MIB,
        "{a: " * (MIB // 4),
        "- " * (MIB // 2),
        "a: " + "x y " * (MIB // 4 - 1),
        "k: 1\n" * (MIB // 5),
        "a: !" + "t" * (MIB - 10),
        "a: &" + "t" * (MIB - 10),
        "a: " + "1" * (MIB - 3),
        '{"a": ' + "1" * (MIB - 10) + "}",
        "".join(f"{n}: 1\n" for n in range(120_000))[:MIB],
        "? " * (MIB // 2),
        "\n" * MIB,
        "a:" + " " * (MIB - 3) + "x",
        "a:" + "\t" * (MIB - 3) + "x",
        "\t\n" * (MIB // 2),
        '{"a"' + "\n" * (MIB - 10) + ":1}",
        "a: |\n" + "  x\n" * (MIB // 4 - 2),
        "<<: " + "[" * 30 + "x" + "]" * 30,
        "a: " + "\u200b" * (MIB // 3 - 9),
        "\xa0\xa0a\n" * (MIB // 6),
        "a:\n" + "\xa0\n" * (MIB // 4) + "b: 'x",
        "{{ a }}: 1\n" * (MIB // 11),
        "- " * (MIB // 4) + "\nx",
        "a:b\n" * (MIB // 4),
        "a: |\nb\n" * (MIB // 7),
    ],
    ids=lambda text: repr(text[:12]),
)
def test_a_hostile_megabyte_takes_no_longer_than_an_honest_one(text):
    begun = time.process_time()
    try:
        read(text)
    except TrainyardError as error:
        assert 1 <= len(error.problems) <= 100  # noqa: PT017 - some of them are fine
    assert time.process_time() - begun < 10  # measured 0.1 to 1.5 s on an idle machine, 4 s on a busy one


@pytest.mark.parametrize("path", ["a", "a.b[0].c", "training_data_reference[0].source.type"])
def test_a_path_survives_its_steps(path):
    assert join_path(split_path(path)) == path
