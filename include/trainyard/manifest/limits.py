"""Read frameworks.yaml, sizes.yaml and quotas.yaml into the limits that manifests are checked against."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainyard.domain.budget import Budget, Per
from trainyard.domain.limits import Account, FrameworkImage, Limits, Size
from trainyard.domain.watchdogs import Watch
from trainyard.errors import Problem, TrainyardError
from trainyard.manifest.document import Document, read_document
from trainyard.manifest.faults import Faults
from trainyard.manifest.schema import check_shape
from trainyard.manifest.watch import WATCH, watch_at
from trainyard.quantity import cpu_millis, memory_bytes
from trainyard.settings import data_file

_MAX_BYTES = 4 * 1024 * 1024


def load_limits(frameworks: Path | None = None, sizes: Path | None = None, quotas: Path | None = None) -> Limits:
    """Read the three files, None standing for the shipped one.

    Raise TrainyardError S500 with the file, the path in it and the line of every fault.
    """
    known = _rows(_load(frameworks, "frameworks", _check_frameworks), "frameworks")
    amounts: Any = _load(sizes, "sizes", _check_sizes).data
    owners = _load(quotas, "quotas", _check_accounts)
    return Limits(
        frameworks=tuple(_images(known)),
        aliases=_aliases(known),
        sizes={row["name"]: _size(row) for row in amounts["sizes"]},
        size_aliases={alias.lower(): row["name"] for row in amounts["sizes"] for alias in row.get("aliases", ())},
        gpu_nodes={name.lower(): labels for name, labels in amounts.get("gpu_types", {}).items()},
        accounts={
            row["name"]: _account(row, watch_at(("accounts", index, WATCH), owners, Faults(owners)))
            for index, row in enumerate(_rows(owners, "accounts"))
        },
    )


def _load(path: Path | None, name: str, check: Callable[[Document, Faults], None]) -> Document:
    file = path or data_file(f"config/{name}.yaml")
    try:
        document = read_document(file.read_bytes(), _MAX_BYTES)
        faults = Faults(document)
        check_shape(document, name, faults)
        if not faults.found:
            check(document, faults)
        faults.raise_any()
    except OSError as error:
        raise TrainyardError("S500", f"{file} cannot be read: {error.strerror}", "Fix the setting.") from None
    except TrainyardError as error:
        raise _unusable(file, error.problems) from None
    return document


def _unusable(file: Path, problems: tuple[Problem, ...]) -> TrainyardError:
    found = [replace(problem, code="S500") for problem in problems]
    return TrainyardError("S500", f"{file} cannot be used: {'; '.join(map(str, found[:5]))}", "Fix the file.", found)


def _check_frameworks(document: Document, faults: Faults) -> None:
    seen: dict[tuple[str, str], tuple[int, int]] = {}
    for index, framework in enumerate(_rows(document, "frameworks")):
        for number, row in enumerate(framework["versions"]):
            for spelling in _spellings(framework, row):
                if seen.setdefault(spelling, (index, number)) != (index, number):
                    path = ("frameworks", index, "versions", number, "version")
                    faults.add(path, f"{' '.join(spelling)} is listed twice.", "Keep one of them.")


def _check_sizes(document: Document, faults: Faults) -> None:
    seen: set[str] = set()
    for index, row in enumerate(_rows(document, "sizes")):
        for name in (row["name"], *(alias.lower() for alias in row.get("aliases", ()))):
            if name in seen:
                faults.add(("sizes", index, "name"), f"{name} is listed twice.", "Keep one of them.")
            seen.add(name)
        for key, read in (("cpu", cpu_millis), ("memory", memory_bytes)):
            try:
                read(str(row[key]))
            except ValueError as error:
                faults.add(("sizes", index, key), f"{error}.", "Write an amount such as 4 or 8GiB.")


def _check_accounts(document: Document, faults: Faults) -> None:
    seen: set[str] = set()
    for index, row in enumerate(_rows(document, "accounts")):
        if row["name"] in seen:
            faults.add(("accounts", index, "name"), f"{row['name']} is listed twice.", "Keep one of them.")
        seen.add(row["name"])
        watch_at(("accounts", index, WATCH), document, faults)


def _rows(document: Document, key: str) -> Any:
    return document.value((key,))


def _images(frameworks: Any) -> Iterator[FrameworkImage]:
    for framework in frameworks:
        for row in framework["versions"]:
            python = row.get("python") or ("3" if row["interpreter"].startswith("python3") else "")
            extra = {key: row.get(key, "") for key in ("devices", "launcher")}
            yield FrameworkImage(framework["name"], row["version"], row["image"], row["interpreter"], python, **extra)


def _aliases(frameworks: Any) -> dict[tuple[str, str], tuple[str, str]]:
    return {
        spelling: (framework["name"], row["version"])
        for framework in frameworks
        for row in framework["versions"]
        for spelling in _spellings(framework, row)
    }


def _spellings(framework: Any, row: Any) -> Iterator[tuple[str, str]]:
    """Yield every way to name one version of one framework, in lower case."""
    for name in (framework["name"], *framework.get("aliases", ())):
        for version in (row["version"], *row.get("aliases", ())):
            yield name.lower(), version.lower()


def _size(row: Any) -> Size:
    return Size(
        name=row["name"],
        gpus=row["gpus"],
        cpu_millis=cpu_millis(str(row["cpu"])),
        memory=memory_bytes(row["memory"]),
        node_selector=row.get("node_selector", {}),
        tolerations=tuple(row.get("tolerations", ())),
    )


def _account(row: Any, watch: Watch) -> Account:
    members, connections = tuple(row["members"]), tuple(row.get("connections", ()))
    images = row.get("custom_images", False)
    mlflow = (row.get("tracking") or {}).get("mlflow") or None
    notify = tuple(row.get("notify", ()))
    asked = row.get("budget")
    budget = Budget(float(asked["gpu_hours"]), Per(asked.get("per", Per.MONTH))) if asked else None
    return Account(
        row["name"], row["gpus"], members, float(row["max_hours"]), images, connections, mlflow, notify, watch, budget
    )
