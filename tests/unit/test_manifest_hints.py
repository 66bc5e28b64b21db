"""Each hint of a text that is not YAML, once it is followed, fixes it; none of them quotes a value."""

from __future__ import annotations

import re

import pytest
from manifest_samples import MANIFEST, change, only_problem, problems, read, refusal

NBSP, ZWSP = "\N{NO-BREAK SPACE}", "\N{ZERO WIDTH SPACE}"
COMMAND = "    command: python3 convolutional_network.py --data ${DATA_DIR}\n"
AUTHOR = "  author:\n    name: Ada Lovelace\n    email: ada@example.com\n"


def accepted(text: str) -> bool:
    return bool(read(text).submission.spec.name)


@pytest.mark.parametrize("stuck", ["b", "x: y", "'z'", "-"])
def test_text_between_a_key_and_the_keys_below_it_is_removed(stuck):
    text = change(MANIFEST, "training_results_reference:\n", f"training_results_reference:{stuck}\n")
    problem = only_problem(text)
    assert "behind the colon of training_results_reference" in problem.message
    assert problem.hint.startswith("Remove the text between `training_results_reference:`")
    lines = text.splitlines(keepends=True)
    lines[(problem.line or 0) - 1] = "training_results_reference:\n"
    assert accepted("".join(lines))


def test_text_between_a_key_and_the_list_below_it_is_removed():
    problem = only_problem(change(MANIFEST, "training_data_reference:\n", "training_data_reference:b\n"))
    assert "behind the colon of training_data_reference" in problem.message


def test_a_blank_is_put_behind_a_colon_that_has_none():
    text = change(MANIFEST, "  name: tf-mnist", "  name:tf-mnist")
    problem = only_problem(text)
    assert problem.hint.startswith("Put a blank behind `name:`")
    assert accepted(text.replace("name:tf", "name: tf"))


@pytest.mark.parametrize("value", ["Ada Lovelace", "'Ada Lovelace'", '"Ada"', "Ada # the first"])
def test_a_key_with_text_and_keys_below_it_keeps_one_of_them(value):
    text = change(MANIFEST, "  author:\n", f"  author: {value}\n")
    problem = only_problem(text)
    assert "author has text behind its colon and keys below it" in problem.message
    assert problem.hint.startswith("Keep the text or the keys;")
    assert accepted(text.replace(AUTHOR.replace("author:", f"author: {value}"), f"  author: {value}\n"))
    assert accepted(MANIFEST)


def test_a_key_that_is_indented_too_deep_lines_up_with_the_one_above():
    text = change(MANIFEST, "  description: Digits.", "  note: x\n    description: Digits.").replace(
        "note: x", "name: a"
    )
    text = change(text, "  name: tf-mnist\n", "")
    problem = only_problem(text)
    assert "lines up with it" in problem.hint
    assert accepted(text.replace("    description", "  description"))


@pytest.mark.parametrize("sign", ["", " |", " >", " >-", " |+ # the steps"])
@pytest.mark.parametrize("indent", ["    ", "  ", ""])
def test_the_lines_of_a_value_are_indented_deeper_than_its_key(sign, indent):
    body = ["pip install --user keras &&", "python3 train.py"]
    text = change(MANIFEST, COMMAND, f"    command:{sign}\n" + "".join(f"{indent}{line}\n" for line in body))
    problem = only_problem(text)
    assert problem.hint == "Indent them deeper than command."
    assert (problem.line, problem.column) == (12, len(indent) + 1)
    for line in body:
        text = text.replace(f"{indent}{line}\n", f"      {line}\n")
    assert accepted(text)


def test_a_line_that_goes_on_with_a_value_is_indented_deeper_or_becomes_a_key():
    text = change(MANIFEST, COMMAND, f"{COMMAND}    --epochs 3\n")
    problem = only_problem(text)
    assert "indent it deeper than command" in problem.hint
    assert accepted(text.replace("    --epochs", "      --epochs"))


@pytest.mark.parametrize("fence", ["```yaml", "```"])
def test_the_marks_of_markdown_around_a_manifest_are_removed(fence):
    problem = only_problem(f"{fence}\n{MANIFEST}```\n")
    assert (problem.line, problem.hint) == (1, "Remove the lines with ```.")


@pytest.mark.parametrize("marker", ["{{.name}}", "{{ name }}", "{{name}}-2", "{% if x %}", "@name@", "%NAME%", "%%n%%"])
def test_a_marker_of_a_template_is_filled_in(marker):
    text = change(MANIFEST, "  name: tf-mnist", f"  name: {marker}")
    problem = refusal(text).problems[0]
    assert "template" in problem.message
    assert problem.line == 2
    assert accepted(text.replace(marker, "tf-mnist"))


@pytest.mark.parametrize(
    ("old", "new"),
    [("  name: tf", "  name:\ttf"), ("name: Ada", "name: \t Ada"), ("bucket: mnist-data", "bucket:\t'mnist-data'")],
)
def test_a_tab_behind_a_colon_is_read(old, new):
    assert read(change(MANIFEST, old, new)).submission.spec == read(MANIFEST).submission.spec


def test_a_tab_where_only_blanks_may_stand_is_replaced_by_one():
    text = change(MANIFEST, "- connection:", "-\tconnection:")
    problem = only_problem(text)
    assert (problem.line, problem.column, problem.hint) == (14, 2, "Write a blank for it.")
    assert accepted(text.replace("-\t", "- "))


@pytest.mark.parametrize("key", ["name: tf-mnist", "author:", "  email: ada@example.com", "execution:"])
@pytest.mark.parametrize("hidden", [NBSP, ZWSP, "\N{IDEOGRAPHIC SPACE}", "\N{EM SPACE}"])
def test_an_indentation_with_hidden_characters_names_them_and_goes_with_plain_blanks(key, hidden):
    text = change(MANIFEST, f"\n  {key}\n", f"\n{hidden}{hidden}{key}\n")
    found = refusal(text).problems
    assert all("(U+" in problem.message for problem in found), [str(problem) for problem in found]
    line = MANIFEST[: MANIFEST.index(f"\n  {key}\n")].count("\n") + 2
    assert (found[0].line, found[0].column) == (line, 1)
    assert accepted(text.replace(hidden, " "))


def test_a_blank_behind_a_colon_that_is_none_is_named():
    text = change(MANIFEST, "    resource: small", f"    resource:{NBSP}small")
    problem = only_problem(text)
    assert problem.message == "NO-BREAK SPACE (U+00A0) stands here, which nobody sees."
    assert (problem.line, problem.column) == (12, 14)
    assert accepted(text.replace(NBSP, " "))


def test_no_hint_quotes_a_value_that_may_be_a_secret():
    secret = "aws_secret_access_key: sEcReT/1\n"
    for new in ("aws_secret_access_key:sEcReT/1\n", f"{secret}      extra: 1\n",
                "aws_secret_access_key:\n    sEcReT/1\n",
                f"aws_secret_access_key:{NBSP}sEcReT/1\n", f"aws_secret_access_key{ZWSP}: sEcReT/1\n"):  # fmt: skip
        reported = str(refusal(MANIFEST.replace(secret, new, 1)).as_dict())
        assert not re.search("sEcReT", reported), reported


def test_every_hidden_line_of_a_text_is_told_once():
    text = MANIFEST.replace("  author:", f"{NBSP}{NBSP}author:").replace("  execution:", f"{NBSP}{NBSP}execution:")
    found = refusal(text).problems
    assert [problem.line for problem in found] == [3, 10]
    assert problems(MANIFEST + f"{ZWSP}retries: 2\n")
