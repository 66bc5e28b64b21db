"""Reference docs cannot lag: every setting and every error code is looked for in them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trainyard.core.audit.event import Action
from trainyard.errors import CODES
from trainyard.local.environment import USERS
from trainyard.local.parts import GPUS, NODES
from trainyard.settings import ROWS

_PROJECT = Path(__file__).resolve().parents[2]
_DOCS = _PROJECT / "docs"


def _lines(name: str) -> list[str]:
    return (_DOCS / name).read_text("utf-8").splitlines()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_setting_is_documented_with_its_default(row):
    default = f"`{row.default}`" if row.default else "empty"
    beginning = f"| `{row.variable}` | {default} | {row.help}"
    assert [line for line in _lines("settings.md") if line.startswith(beginning)]


def test_no_setting_is_documented_that_is_not_there():
    named = {found for line in _lines("settings.md") for found in re.findall(r"TRAINYARD_\w+", line)}
    assert named - {GPUS, NODES, USERS} == {row.variable for row in ROWS}


@pytest.mark.parametrize("code", CODES.values(), ids=lambda code: code.code)
def test_every_error_code_is_documented_as_it_is(code):
    retried = "yes" if code.retried else "no"
    beginning = f"| {code.code} | {code.fault} | {code.title} | {code.status} | {retried} | "
    assert [line for line in _lines("errors.md") if line.startswith(beginning)]


def test_no_error_code_is_documented_that_is_not_there():
    rows = [line.split(" | ")[0] for line in _lines("errors.md") if re.match(r"\| [CS]\d", line)]
    assert sorted(rows) == sorted(f"| {code}" for code in CODES)


def _held_by() -> set[tuple[str, str]]:
    texts = (path.read_text("utf-8") for path in (_DOCS / "reliability.md", _PROJECT / "SECURITY.md"))
    return {found for text in texts for found in re.findall(r"(tests/[\w/]+\.py)::(\w+)", text)}


@pytest.mark.parametrize(("file", "test"), sorted(_held_by()))
def test_every_test_that_holds_a_promise_is_there(file, test):
    assert re.search(rf"^ *(async )?def {test}\(", (_PROJECT / file).read_text("utf-8"), re.MULTILINE)


def test_every_promise_names_what_holds_it():
    promises = [line for line in _lines("reliability.md") if line.startswith("| ")]
    promises = promises[promises.index("| promise | held by |") + 1 : promises.index(_DEATHS)]
    assert promises
    assert [line for line in promises if "::test_" not in line] == []


def test_every_promise_of_security_names_what_holds_it():
    promised = (_PROJECT / "SECURITY.md").read_text("utf-8").partition("## What is promised")[2].partition("\n## ")[0]
    tables = promised.split("| promise | held by |\n|---|---|\n")[1:]
    rows = [row for table in tables for row in table.partition("\n\n")[0].strip().splitlines()]
    assert rows
    assert [row for row in rows if not re.search(r"`tests/[\w/]+\.py::test_\w+`", row)] == []


def test_every_action_of_the_audit_log_is_documented_and_no_other():
    section = (_DOCS / "audit.md").read_text("utf-8").partition("## What is recorded")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `([\w.]+)` \|", section, re.MULTILINE) == [str(action) for action in Action]


@pytest.mark.parametrize("action", Action)
def test_every_action_of_the_audit_log_is_recorded_somewhere(action):
    files = (path for path in (_PROJECT / "include" / "trainyard").rglob("*.py") if path.name != "event.py")
    assert any(f"Action.{action.name}" in path.read_text("utf-8") for path in files)


_DEATHS = "| what dies | what users see | what recovers by itself | what to do |"
