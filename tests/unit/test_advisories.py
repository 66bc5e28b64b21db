"""The check of the locked dependencies against known advisories, with a pip-audit that answers as it is told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

_PROJECT = Path(__file__).resolve().parents[2]
_CHECK = _PROJECT / "scripts" / "advisories" / "check.py"
_VULN = {"id": "PYSEC-2026-1", "aliases": ["GHSA-aaaa-bbbb-cccc"], "fix_versions": ["2.1"], "description": ""}
_FINE = [{"name": "a", "version": "1.0", "vulns": []}, {"name": "b", "version": "2.0", "vulns": []}]
_BAD = [_FINE[0], {"name": "b", "version": "2.0", "vulns": [_VULN]}]
_STUB = """#!{python}
import sys
pins = open([word for word in sys.argv if word.startswith("--requirement=")][0].partition("=")[2]).read().split()
open({asked!r}, "a").write(" ".join(pins) + chr(10))
{answer}
"""


@pytest.fixture
def check(tmp_path):
    """Run the check over two pins; `dependencies` is the report that pip-audit gives of them."""
    (tmp_path / "lock.txt").write_text("a==1.0 ; python_version > '3'\n    # via b==9\nb==2.0\n")

    def checking(dependencies=None, *options, accepted="# nothing\n", answer=""):
        report = json.dumps({"dependencies": dependencies, "fixes": []})
        answer = answer or f"print({report!r}); sys.exit({int(dependencies is _BAD)})"
        stub = tmp_path / "pip-audit"
        stub.write_text(_STUB.format(python=sys.executable, asked=str(tmp_path / "asked"), answer=answer))
        stub.chmod(0o755)
        (tmp_path / "accepted.txt").write_text(accepted)
        given = [f"--pip-audit={stub}", f"--lock={tmp_path / 'lock.txt'}", f"--accepted={tmp_path / 'accepted.txt'}"]
        command = [sys.executable, str(_CHECK), *given, *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
        return done.returncode, done.stdout.splitlines()

    checking.asked = tmp_path / "asked"
    return checking


def test_locked_packages_without_an_advisory_are_well(check):
    assert check(_FINE) == (0, ["2 locked packages checked, 0 advisories apply"])
    assert check.asked.read_text() == "a==1.0\na==1.0 b==2.0\n"


def test_an_advisory_that_applies_fails_also_where_being_offline_would_not(check):
    code, lines = check(_BAD, "--offline-ok")
    assert (code, lines[0]) == (1, "b 2.0: GHSA-aaaa-bbbb-cccc, PYSEC-2026-1; fixed in 2.1")


@pytest.mark.parametrize("name", ["PYSEC-2026-1", "GHSA-aaaa-bbbb-cccc"])
def test_one_that_is_accepted_with_a_reason_does_not(check, name):
    assert check(_BAD, accepted=f"{name}  we have no such server\n") == (
        0,
        ["2 locked packages checked, 0 advisories apply"],
    )


def test_an_acceptance_without_a_reason_or_without_an_advisory_is_told(check):
    code, lines = check(_BAD, accepted="PYSEC-2026-1\n")
    assert (code, "PYSEC-2026-1 has no reason" in lines[0]) == (1, True)
    code, lines = check(_FINE, accepted="PYSEC-2025-9 was never ours\n")
    assert (code, lines[0]) == (0, "accepted.txt: PYSEC-2025-9 applies to nothing that is locked any more")


_SKIPPED = [{"name": "a", "skip_reason": "Dependency not found on PyPI and could not be audited: a (1.0)"}]


@pytest.mark.parametrize(
    ("dependencies", "answer"),
    [(_SKIPPED, ""), (None, "sys.exit('connection refused')"), (None, "print('{}')")],
    ids=["an index without advisories", "no network", "no report"],
)
def test_without_advisories_nothing_is_called_well_and_only_lint_goes_on(check, dependencies, answer):
    code, lines = check(dependencies, "--offline-ok", answer=answer)
    assert (code, len(lines), lines[0].startswith("advisories not checked: ")) == (0, 1, True)
    assert check(dependencies, answer=answer)[0] == 2
    # One package says; the others are not asked for in vain.
    assert set(check.asked.read_text().splitlines()) == {"a==1.0"}


def test_a_pip_audit_that_is_not_installed_is_nothing_checked(tmp_path):
    command = [sys.executable, str(_CHECK), f"--pip-audit={tmp_path / 'none'}", "--offline-ok"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True, cwd=_PROJECT)
    assert done.stdout == "advisories not checked: pip-audit did not run (FileNotFoundError)\n"


def test_a_package_that_pypi_does_not_know_is_named(check):
    code, lines = check([_FINE[0], {"name": "b", "skip_reason": "Dependency not found"}])
    assert (code, lines) == (
        0,
        ["not known to PyPI, and not checked: b", "1 locked packages checked, 0 advisories apply"],
    )
