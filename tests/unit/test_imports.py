"""Who imports whom, read from the source: bottom up, heavy libraries late, Airflow at the edge."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from samples import training

_PROJECT = Path(__file__).resolve().parents[2]
_PACKAGE = _PROJECT / "include" / "trainyard"

# A part may import the parts of its own row and of the rows above it.
_ROWS = (
    {"errors"},
    {"quantity"},
    {"settings"},
    {"domain"},
    {"manifest", "answers"},
    {"client"},
    {"__init__"},
    {"stores"},
    {"workspace"},
    {"cluster"},
    {"tracking", "notify"},
    {"steps"},
    {"core"},
    {"airflow"},
    {"inbox"},
    {"doctor"},
    {"api"},
    {"web"},
    {"local"},
    {"cli"},
    {"dags", "plugins", "config"},
)
# The same within the stores: the port, what moves objects through it, the adapters, what opens them.
_STORES = (
    {"base", "keys", "tree", "links", "refusals", "below", "network", "listing", "atmost"},
    {"moving", "s3", "swift", "folder"},
    {"sampling", "transfer", "opening"},
)
_RANK = {part: rank for rank, row in enumerate(_ROWS) for part in row}
# What imports it may use Airflow too.
_AIRFLOWS = {"airflow", "api", "web", "inbox", "doctor", "dags", "plugins", "config"}
# How the paths of an adapter's files begin.
_ADAPTERS = {
    "obstore": "stores/s3/small.py",
    "boto3": "stores/s3/",
    "botocore": "stores/s3/",
    "swiftclient": "stores/swift/",
    "keystoneclient": "stores/swift/",
    "keystoneauth1": "stores/swift/",
}
_CLUSTERS = ("kubernetes", "kubernetes_asyncio", "airflow.providers.cncf.kubernetes")
# What costs a process a second or more, so that it is imported only where it is used.
_LATE = (
    "trainyard.stores.s3",
    "trainyard.stores.swift",
    "trainyard.airflow.operator",
    "trainyard.airflow.awsconnections",
)


@dataclass(frozen=True)
class Import:
    """One import in one file; `late` is one inside a function."""

    file: Path
    line: int
    module: str
    late: bool

    @property
    def part(self) -> str:
        """The part of the project that the file belongs to."""
        inside = self.file.relative_to(_PACKAGE if _PACKAGE in self.file.parents else _PROJECT)
        return inside.parts[0].removesuffix(".py")

    @property
    def package(self) -> str:
        """The package that the file lies in."""
        return ".".join(self.file.parent.relative_to(_PACKAGE.parent).parts) if _PACKAGE in self.file.parents else ""

    @property
    def target(self) -> str | None:
        """The part of the project that is imported, None for anybody else's."""
        names = self.module.split(".")
        return names[1] if names[0] == "trainyard" and len(names) > 1 else None

    def within(self, *packages: str) -> bool:
        return any(f"{self.module}.".startswith(f"{package}.") for package in packages)

    def __str__(self) -> str:
        return f"{self.file.relative_to(_PROJECT)}:{self.line} imports {self.module}{' late' if self.late else ''}"


@cache
def _imports() -> tuple[Import, ...]:
    folders = (_PACKAGE, *(_PROJECT / name for name in ("plugins", "config", "dags")))
    files = sorted(file for folder in folders for file in folder.rglob("*.py"))
    return tuple(found for file in files for found in _imports_of(file))


def _imports_of(file: Path) -> Iterator[Import]:
    def visit(node: ast.AST, late: bool) -> Iterator[Import]:
        for name in _modules(node):
            yield Import(file, node.lineno, name, late)
        inside = late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from visit(child, inside)

    return visit(ast.parse(file.read_text("utf-8")), late=False)


def _modules(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert not node.level, "imports name the whole way from trainyard on"
        return [_submodule(node.module or "", alias.name) for alias in node.names]
    return []


def _submodule(package: str, name: str) -> str:
    """`from a import b` imports a.b where that is a module of ours, else a."""
    path = _PACKAGE.parent / package.replace(".", "/") / name
    return f"{package}.{name}" if path.is_dir() or path.with_suffix(".py").is_file() else package


def _reported(found: Iterator[Import]) -> list[str]:
    return [str(one) for one in found]


def test_the_reader_sees_the_imports_there_are():
    seen = {(one.part, one.module, one.late) for one in _imports()}
    assert ("settings", "trainyard.quantity", False) in seen
    assert ("airflow", "trainyard.core.service", True) in seen
    assert ("plugins", "airflow.plugins_manager", False) in seen


def test_every_part_has_a_place_in_the_order():
    parts = {file.relative_to(_PACKAGE).parts[0].removesuffix(".py") for file in _PACKAGE.rglob("*.py")}
    assert parts <= _RANK.keys()


def test_imports_run_one_way():
    ours = (one for one in _imports() if one.target)
    assert not _reported(one for one in ours if _RANK[one.target] > _RANK[one.part])


def test_the_parts_do_not_import_each_other_in_a_circle():
    edges: dict[str, set[str]] = {}
    for one in _imports():
        if one.target and one.target != one.part:
            edges.setdefault(one.part, set()).add(one.target)
    assert not [part for part in edges if part in _reached(part, edges)]


def test_no_module_reaches_itself_by_what_it_imports_early_or_late():
    edges: dict[str, set[str]] = {}
    for one in _imports():
        if _PACKAGE in one.file.parents:
            name = ".".join(one.file.relative_to(_PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
            edges.setdefault(name, set()).add(one.module)
    assert not [module for module in edges if module in _reached(module, edges)]


def _reached(start: str, edges: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    ahead = set(edges.get(start, ()))
    while ahead:
        part = ahead.pop()
        found.add(part)
        ahead |= edges.get(part, set()) - found
    return found


def test_within_the_stores_neither_an_adapter_nor_the_transfer_knows_another():
    rank = {part: number for number, row in enumerate(_STORES) for part in row}
    inside = [one for one in _imports() if one.part == "stores" and one.within("trainyard.stores")]
    pairs = [
        (one, one.file.relative_to(_PACKAGE).parts[1].removesuffix(".py"), one.module.split(".")[2]) for one in inside
    ]
    apart = ((one, part, target) for one, part, target in pairs if part != target)
    assert {part for _, part, _ in pairs} <= rank.keys()
    assert not _reported(
        one for one, part, target in apart if rank[target] > rank[part] or rank[target] == rank[part] == 1
    )


def test_only_the_edge_imports_airflow():
    assert not _reported(one for one in _imports() if one.within("airflow") and one.part not in _AIRFLOWS)


@pytest.mark.parametrize("library", _ADAPTERS)
def test_a_stores_library_is_imported_by_its_adapter_alone(library):
    found = {str(one.file.relative_to(_PACKAGE)) for one in _imports() if one.within(library)}
    assert not [name for name in found if not name.startswith(_ADAPTERS[library])]


def test_kubernetes_is_never_imported_with_a_module_but_for_the_operators_base_class():
    early = (one for one in _imports() if one.within(*_CLUSTERS) and not one.late)
    assert {str(one.file.relative_to(_PACKAGE)) for one in early} == {"airflow/operator.py"}


def test_the_amazon_provider_is_imported_where_stores_are_opened_alone():
    found = {str(one.file.relative_to(_PACKAGE)) for one in _imports() if one.within("airflow.providers.amazon")}
    assert found == {"airflow/awsconnections.py"}


def test_what_costs_a_second_is_imported_inside_functions():
    early = (one for one in _imports() if one.within(*_LATE) and not one.late)
    assert not _reported(one for one in early if one.package not in _LATE)


def test_the_command_line_knows_the_service_only_through_http():
    assert not _reported(one for one in _imports() if one.part == "cli" and one.target in ("airflow", "api"))


def test_the_command_line_imports_the_stack_only_when_it_is_asked_for():
    assert not _reported(one for one in _imports() if one.part == "cli" and one.target == "local" and not one.late)


def test_the_command_line_needs_nothing_that_its_package_does_not_declare():
    declared = {"typer", "click", "rich", "httpx", "jsonschema", "yaml", "croniter", "pydantic", "trainyard"}
    declared |= {"pathspec", "websockets"}
    # Used where they are: without the one, patterns are looked at by Python's own, and by the service once
    # more; without the other, points are plain data.
    declared |= {"re2", "pandas"}
    parts = {"cli", "client", "answers", "manifest", "domain", "settings", "errors", "quantity"}
    needed = (one for one in _imports() if one.part in parts)
    known = declared | set(sys.stdlib_module_names)
    assert not _reported(one for one in needed if one.module.split(".")[0] not in known)


_BUILD = """
import sys
from airflow.sdk.definitions._internal.dag_parsing_context import _airflow_parsing_context_manager as parsing
from trainyard.airflow.dag import training_dag
from trainyard.core.catalogue import Training
with parsing(dag_id={id!r}, task_id="validate"):
    training_dag(Training.from_dict({record!r}))
heavy = {{"kubernetes", "kubernetes_asyncio", "boto3", "botocore", "obstore", "swiftclient", "keystoneauth1"}}
print(sorted(heavy & set(sys.modules)))
"""


def test_a_task_that_does_not_train_builds_its_dag_without_the_heavy_libraries(tmp_path):
    program = _BUILD.format(id=training().id, record=training().as_dict())
    environment = {"AIRFLOW_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "[]"
