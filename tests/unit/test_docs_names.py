"""What the documentation names is there: commands and their options, targets of make, files, variables, error codes."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from trainyard.cli.main import app

_PROJECT = Path(__file__).resolve().parents[2]
_OTHERS = ("README", "CONTRIBUTING", "SECURITY", "include/localkube/README")
_PAGES = sorted([*(_PROJECT / "docs").glob("*.md"), *(_PROJECT / f"{name}.md" for name in _OTHERS)])
_SOURCES = (
    "include",
    "dags",
    "plugins",
    "config",
    "deploy",
    "scripts",
    "bench",
    "tests",
    "Makefile",
    "docker-compose.yaml",
)
_KINDS = {".py", ".sh", ".env", ".yaml", ".yml", ""}
# Airflow's own, which an installation may set and ours does not.
_AIRFLOWS = "AIRFLOW__LOGGING__"
_OF_A_RUN = ("learner-1/", "_submitted_code/", "./", "logs/")


@pytest.fixture(scope="module", params=_PAGES, ids=lambda page: page.name)
def page(request):
    return request.param


@cache
def _options() -> dict[str, set[str]]:
    return {name: _options_of(command) for name, command in get_command(app).commands.items()}


def _options_of(command: Any) -> set[str]:
    """Return the options of a command, of a group those of all its commands."""
    own = {option for each in command.params for option in each.opts}
    return own.union(*map(_options_of, getattr(command, "commands", {}).values()))


@cache
def _sources() -> str:
    found = [_PROJECT / name for name in _SOURCES]
    files = [file for each in found for file in (each.rglob("*") if each.is_dir() else [each])]
    kept = [file for file in files if file.is_file() and file.suffix in _KINDS and "node_modules" not in file.parts]
    return "\n".join(file.read_text("utf-8", "ignore") for file in kept if file.stat().st_size < 2**20)


def test_every_option_of_a_command_is_one(page):
    for line in page.read_text("utf-8").splitlines():
        for name, words in re.findall(r"\btrainyard ([a-z]+)((?: [^`|#]*)?)", line):
            options = _options().get(name)
            used = set(re.findall(r"(?<![\w-])(--?[a-z][\w-]*)", words)) - {"--help", "-h"}
            assert options is None or used <= options, line


def test_every_target_of_make_is_one(page):
    targets = set(re.findall(r"^([a-z][\w-]*):", (_PROJECT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = re.findall(r"(?:`|^)make ([a-z][\w-]*)", page.read_text("utf-8"), re.MULTILINE)
    assert set(named) <= targets


def test_every_file_of_the_project_is_there(page):
    roots = [_PROJECT / root for root in ("", "include", "include/trainyard", "include/localkube", "tests")]
    named = re.findall(r"`([\w.*-][\w./*-]*/[\w.*-]+\.(?:py|sh|yaml|yml|env|md|toml|txt))`", page.read_text("utf-8"))
    ours = {name for name in named if not name.startswith(_OF_A_RUN)}
    assert [name for name in ours if not any(any(root.glob(name)) for root in roots)] == []


def test_every_variable_and_error_code_is_known(page):
    text = page.read_text("utf-8")
    variables = set(re.findall(r"\b((?:TRAINYARD|AIRFLOW_)_[A-Z_]*[A-Z])\b(?!_)", text))
    ours = {name for name in variables if not name.startswith(_AIRFLOWS)}
    assert [name for name in ours if name not in _sources() and _setting(name) not in _sources()] == []
    codes = set(re.findall(r"\b([CS][1-5]\d\d)\b", text))
    assert [code for code in codes if f'"{code}"' not in _sources()] == []


def _setting(variable: str) -> str:
    return variable.removeprefix("TRAINYARD_").lower()
