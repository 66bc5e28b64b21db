"""Characters that nobody sees are told by name and place, never with the value; prose keeps those it needs."""

from __future__ import annotations

import json
import sys

import pytest
from manifest_samples import FFDL, MANIFEST, change, only_problem, problems, read, refusal

from trainyard.domain.characters import NOT_SHOWN
from trainyard.manifest.characters import HIDDEN, character_name, hidden_characters

ZWSP, NBSP, BOM = "\N{ZERO WIDTH SPACE}", "\N{NO-BREAK SPACE}", "\N{ZERO WIDTH NO-BREAK SPACE}"
CONNECTION = "training_data_reference[0].connection"


@pytest.mark.parametrize(
    ("character", "name"),
    [
        (ZWSP, "ZERO WIDTH SPACE (U+200B)"),
        ("\0", "NULL (U+0000)"),
        ("\x1b", "ESCAPE (U+001B)"),
        ("\x85", "NEXT LINE (U+0085)"),
        ("\x7f", "DELETE (U+007F)"),
        ("\x93", "U+0093"),
        ("\r", "CARRIAGE RETURN (U+000D)"),
        ("\ud800", "U+D800"),
    ],
)
def test_a_character_is_called_by_its_unicode_name(character, name):
    assert character_name(character) == name


def test_whatever_is_never_shown_as_it_is_is_hidden_in_a_manifest():
    everywhere = map(chr, range(sys.maxunicode + 1))
    assert [each for each in everywhere if NOT_SHOWN.match(each) and not HIDDEN.match(each)] == ["\r"]


def test_places_count_lines_and_columns():
    found = [(each.line, each.column) for each in hidden_characters(f"a{ZWSP}\n\n  {NBSP}{ZWSP}b", 5, 3)]
    assert found == [(5, 4), (7, 3), (7, 4)]


@pytest.mark.parametrize(
    "hidden", [ZWSP, NBSP, BOM, "\ue000", "\N{SOFT HYPHEN}", "\N{RIGHT-TO-LEFT OVERRIDE}", "\N{HANGUL FILLER}"]
)
@pytest.mark.parametrize(
    "old", ["sEcReT/1", "AKIAEXAMPLE", "https://s3.example.com", "mnist-data", "1.2-py3", "small", "s3\n"]
)
def test_a_hidden_character_in_a_value_that_programs_read_is_refused(old, hidden):
    line = MANIFEST[: MANIFEST.index(old)].count("\n") + 1
    column = MANIFEST.index(old) - MANIFEST.rfind("\n", 0, MANIFEST.index(old)) + 1
    text = MANIFEST.replace(old, f"{old[0]}{hidden}{old[1:]}", 1)
    problem = next(problem for problem in refusal(text).problems if character_name(hidden) in problem.message)
    assert (problem.line, problem.column) == (line, column)
    reported = str(refusal(text).as_dict())
    assert "cReT/1" not in reported
    assert "KIAEXAMPLE" not in reported


def test_an_escape_sequence_is_told_at_its_value():
    problem = only_problem(MANIFEST.replace("AKIAEXAMPLE", '"\\u200bAKIAEXAMPLE"', 1))
    assert problem.path == f"{CONNECTION}.aws_access_key_id"
    assert problem.message == "aws_access_key_id holds ZERO WIDTH SPACE (U+200B), which nobody sees."
    assert (problem.line, problem.column, problem.seen) == (16, 24, "****")


def test_json_is_looked_at_too():
    data = {"name": "x", "data_stores": [{"type": f"mount_cos{ZWSP}"}]}
    assert "ZERO WIDTH SPACE" in problems(json.dumps(data, ensure_ascii=False))["data_stores[0].type"].message


@pytest.mark.parametrize("block", ["|\n      sEcReT/1\n", "|+\n      sEcReT/1\n\n", ">\n      sEcReT/1\n"])
def test_the_line_end_that_a_block_puts_behind_a_secret_is_left_out_and_warned_of(block):
    submission = read(MANIFEST.replace("sEcReT/1\n", block, 1)).submission
    assert submission.data_credentials.secret == "sEcReT/1"
    assert [warning for warning in submission.warnings if "ends with a line end" in warning]


@pytest.mark.parametrize(
    ("inner", "name"), [("\\n", "LINE FEED"), ("\\t", "CHARACTER TABULATION"), ("\\r", "CARRIAGE RETURN")]
)
@pytest.mark.parametrize("key", ["aws_secret_access_key: sEcReT/1", "aws_access_key_id: AKIAEXAMPLE"])
def test_a_line_end_or_tab_inside_a_credential_is_refused(key, inner, name):
    name_of, _, value = key.partition(": ")
    problem = only_problem(MANIFEST.replace(key, f'{name_of}: "{value[:3]}{inner}{value[3:]}"', 1))
    assert problem.message.startswith(f"{name_of} holds {name} (U+00")
    assert problem.seen == "****"


def test_blanks_around_a_secret_are_kept_and_warned_of():
    submission = read(MANIFEST.replace("sEcReT/1", "'sEcReT/1 '", 1)).submission
    assert submission.data_credentials.secret == "sEcReT/1 "
    assert "aws_secret_access_key begins or ends with a blank" in submission.warnings[0]


@pytest.mark.parametrize("name", [f"tf{ZWSP}mnist", f"tf{NBSP}mnist", "tf\N{RIGHT-TO-LEFT OVERRIDE}mnist"])
def test_a_hidden_character_in_a_name_is_warned_of(name):
    (warning,) = read(change(MANIFEST, "tf-mnist", name)).submission.warnings
    assert warning == f"line 2: name holds {character_name(name[2])}, which nobody sees (column 11)"


@pytest.mark.parametrize(
    "text", ["\N{MAN}\u200d\N{WOMAN}", "\N{HEAVY BLACK HEART}\ufe0f", "می\u200cخواهم", "Größe", "日本"]
)
def test_names_and_descriptions_have_the_characters_that_their_language_needs(text):
    assert read(change(change(MANIFEST, "tf-mnist", text), "Digits.", f"{text}{NBSP}!")).submission.warnings == ()


def test_a_hidden_character_between_the_words_of_a_command_is_refused():
    problem = only_problem(change(MANIFEST, "python3 conv", f"python3{NBSP}conv"))
    assert (problem.line, problem.column) == (11, 21)
    assert problem.message == "command holds NO-BREAK SPACE (U+00A0), which nobody sees."


@pytest.mark.parametrize("part", [f"'a{NBSP}b'", f'"a{NBSP}b"', f"x # a{NBSP}b"])
def test_a_hidden_character_in_quotes_or_a_comment_is_warned_of(part):
    text = change(
        MANIFEST,
        "    command: python3 convolutional_network.py --data ${DATA_DIR}\n",
        f"    command: |\n      python3 convolutional_network.py {part}\n",
    )
    (warning,) = read(text).submission.warnings
    assert "NO-BREAK SPACE (U+00A0)" in warning


@pytest.mark.parametrize(("part", "name"), [("–lr 1", "EN DASH"), ("“a b”", "LEFT DOUBLE QUOTATION MARK")])
def test_what_a_word_processor_made_of_a_command_is_warned_of(part, name):
    (warning,) = read(change(MANIFEST, "--data ${DATA_DIR}", part)).submission.warnings
    assert f"command holds {name} (U+20" in warning
    assert read(change(MANIFEST, "--data ${DATA_DIR}", f"'{part}'")).submission.warnings == ()


def test_a_text_in_utf_16_is_read_with_and_without_its_mark():
    wanted = read(MANIFEST).submission.spec
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        assert read(MANIFEST.encode(encoding)).submission.spec == wanted


def test_a_zip_in_the_place_of_the_manifest_is_told():
    assert only_problem(b"PK\x03\x04" + b"\0" * 600).message == "this is a zip archive, not a manifest."


def test_comments_may_hold_what_they_like():
    assert read(f"# {ZWSP}{NBSP}{BOM}\n{FFDL}").submission.warnings == ()


def test_every_control_character_of_a_file_is_told():
    found = refusal(change(MANIFEST, "Digits.", "Di\x1bg\x07its")).problems
    assert [(each.line, each.column, each.message) for each in found] == [
        (6, 18, "character ESCAPE (U+001B) is not text."),
        (6, 20, "character ALERT (U+0007) is not text."),
    ]
