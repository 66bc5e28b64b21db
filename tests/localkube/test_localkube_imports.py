"""localkube and the service do not know each other: neither imports the other, and no variable tells it anything."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PACKAGE = PROJECT / "include" / "localkube"
LIGHT = ("localkube.shim", "localkube.enter", "localkube.__main__")
HEAVY = {"asyncio", "subprocess", "starlette", "uvicorn", "trustme", "cryptography", "ssl"}


def trees(folder: Path) -> Iterator[tuple[str, ast.Module]]:
    for file in sorted(folder.rglob("*.py")):
        yield str(file.relative_to(PROJECT)), ast.parse(file.read_text("utf-8"))


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the top packages that a module imports, in functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def importers(folder: str, package: str) -> list[str]:
    return [name for name, tree in trees(PROJECT / folder) if package in imported(tree)]


def test_it_imports_nothing_of_the_service():
    assert importers("include/localkube", "trainyard") == []
    assert len(importers("include/localkube", "localkube")) > 20, "the search finds imports that are there"


@pytest.mark.parametrize("folder", ["include/trainyard", "dags", "plugins", "config", "deploy", "bench"])
def test_nothing_of_the_service_imports_it(folder):
    assert importers(folder, "localkube") == []


def test_its_tests_do_without_the_service():
    assert importers("tests/localkube", "trainyard") == []
    assert "trainyard" not in imported(ast.parse((PROJECT / "tests" / "localkubeserver.py").read_text("utf-8")))


def test_it_needs_only_what_it_says():
    known = {"localkube", "starlette", "uvicorn", "trustme", *sys.stdlib_module_names}
    assert {one for _, tree in trees(PACKAGE) for one in imported(tree)} <= known


def test_it_reads_nothing_from_the_environment():
    names = {"environ", "getenv", "environb", "expanduser", "expandvars", "home"}
    found = [
        (name, node.lineno)
        for name, tree in trees(PACKAGE)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in names
    ]
    assert found == []


def test_it_does_not_name_the_service():
    files = [file for file in PACKAGE.rglob("*") if file.suffix in (".py", ".md")]
    assert [file.name for file in files if "trainyard" in file.read_text("utf-8").lower()] == []


@pytest.mark.parametrize("module", LIGHT)
def test_what_every_container_starts_is_light(module):
    program = f"import sys, {module}; print(*(set({sorted(HEAVY)}) & set(sys.modules)))"
    command = [sys.executable, "-S", "-P", "-c", program]
    done = subprocess.run(command, env={"PYTHONPATH": str(PACKAGE.parent)}, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
