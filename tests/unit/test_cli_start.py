"""How the command line starts, ends and is documented."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from trainyard.cli.main import app
from trainyard.cli.sections import SECTIONS, SectionedGroup

pytest_plugins = ["cli_front_door"]

DOC = Path(__file__).parents[2] / "docs" / "cli.md"
SERVICE = ("airflow", "boto3", "botocore", "kubernetes", "swiftclient", "fastapi", "starlette", "sqlalchemy")
LATER = ("httpx", "rich", "jsonschema", "yaml", "croniter", "pydantic")


def modules_after(code: str) -> set[str]:
    command = [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def test_starting_imports_nothing_of_the_service_and_nothing_before_it_is_needed():
    assert modules_after("import trainyard.cli.main").isdisjoint({*SERVICE, *LATER})


@pytest.mark.parametrize("words", [["version"], ["--help"], ["version", "--output", "json"]])
def test_a_command_that_asks_nobody_imports_no_http_client_and_no_validators(words):
    loaded = modules_after(f"from trainyard.cli.main import main; assert main({words!r}) == 0")
    assert loaded.isdisjoint({*SERVICE, *LATER})


def test_talking_to_the_service_needs_nothing_of_the_service():
    loaded = modules_after("import trainyard.cli.client, trainyard.cli.follow, trainyard.cli.report")
    assert loaded.isdisjoint(SERVICE)


def test_version_is_the_installed_one(run):
    from importlib.metadata import version

    assert run("version").out == run("--version").out == f"trainyard {version('trainyard-client')}\n"
    assert run("version", "-o", "json").data == {"version": version("trainyard-client")}


def test_without_a_command_the_help_is_shown_as_wrong_usage(run):
    done = run()
    assert done.code == 2
    assert "Usage: trainyard" in done.out


@pytest.mark.parametrize(
    ("words", "stated"),
    [
        (["shwo", "x"], "No such command 'shwo'. Did you mean 'show'?"),
        (["show", "--nope", "x"], "No such option: --nope"),
        (["logs", "x", "y"], "unexpected extra argument"),
        (["version", "--output", "xml"], "there is no output 'xml'"),
        (["list", "--url", "localhost:8080"], "is no URL of a service"),
        (["list"], "no service is known"),
    ],
)
def test_wrong_usage_is_exit_code_2_with_a_hint(run, words, stated):
    done = run(*words)
    assert (done.code, done.out) == (2, "")
    assert stated in done.err
    assert "hint:" in done.err


def test_the_middle_word_shows_in_the_usage(run):
    assert "trainyard show [OPTIONS] [trained-models] {ID}..." in run("show", "--help").out


def commands():
    return get_command(app).commands


def section_of(name: str) -> str:
    """Return what the documentation says of a command, with what it says of all commands."""
    sections = re.split(r"^## ", DOC.read_text(), flags=re.MULTILINE)
    return "".join(part for part in sections if re.match(rf"`trainyard {name}\b|Options of all commands", part))


WORDS = sorted((name, word) for name, command in commands().items() for param in command.params for word in param.opts)
ARGUMENTS = {
    "zip_file": "ZIP",
    "model_id": "ID",
    "model_ids": "ID",
    "training_id": "ID",
    "what": "trained-models",
    "manifest": "MANIFEST",
    "manifests": "MANIFEST",
    "folder": "DIR",
    "words": "ID",
    "noun": "experiments",
    "ids": "ID",
    "files": "FILE",
    "first": "A",
    "second": "B",
}


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_has_its_section_in_the_documentation(name):
    assert re.search(rf"^## `trainyard {name}\b", DOC.read_text(), re.MULTILINE)


@pytest.mark.parametrize(("name", "word"), WORDS)
def test_every_option_and_argument_is_in_its_command_s_section(name, word):
    word = ARGUMENTS.get(word, word)
    assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", section_of(name))


def test_every_global_option_is_documented():
    for param in get_command(app).params:
        for option in param.opts:
            assert f"`{option}`" in DOC.read_text()


def test_every_variable_is_documented():
    from trainyard.client.access import PASSWORD, TOKEN, URL, USERNAME

    for variable in (URL, TOKEN, USERNAME, PASSWORD, "NO_COLOR", "SSL_CERT_FILE"):
        assert f"`{variable}`" in DOC.read_text()


class TestTheListOfCommands:
    def test_every_command_is_in_one_section_and_shown_with_a_whole_sentence(self, run):
        listed = [name for names in SECTIONS.values() for name in names]
        assert len(set(listed)) == len(listed)
        assert commands().keys() <= set(listed)
        done = run("--help").out
        assert "..." not in done.partition("Start:")[2]
        assert [title for title in SECTIONS if f"\n{title}:\n" not in done] == []

    def test_a_command_that_is_in_no_section_is_still_shown(self):
        found = SectionedGroup(name="x").sections({"list": None, "novel": None})
        assert (found["Watch"], found["More"]) == (["list"], ["novel"])

    def test_the_commands_of_a_group_are_shown_with_whole_sentences(self, run):
        assert "..." not in run("experiments", "--help").out.partition("Commands:")[2]
