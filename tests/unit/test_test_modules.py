"""Who imports whom among the tests: what several of them need is a module of its own."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

_TESTS = Path(__file__).resolve().parents[1]


def _imported(file: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(file.read_text("utf-8"))))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return names | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}


def test_no_module_of_the_tests_imports_a_file_of_tests():
    found = {(file.name, name) for file in _TESTS.rglob("*.py") for name in _imported(file)}
    assert ("test_test_modules.py", "pathlib") in found
    assert not [(file, name) for file, name in found if name.rpartition(".")[2].startswith("test_")]


def test_no_two_modules_have_one_name_as_all_their_folders_are_on_the_path():
    alone = (file for file in _TESTS.rglob("*.py") if not (file.parent / "__init__.py").exists())
    counted = Counter(file.name for file in alone if file.name != "conftest.py")
    assert not [name for name, count in counted.items() if count > 1]
