"""Where pages are: what the menu shows, how a list's heads lead to another order, and where its other pages are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from trainyard.core.accounts import Caller
from trainyard.core.runs import Key
from trainyard.web.asked import Asked

# Name, place, label; an admin's has True.
_PAGES = (
    ("trainings", "/", "Trainings", False),
    ("experiments", "/experiments", "Experiments", False),
    ("new", "/new", "New training", False),
    ("quota", "/quota", "Queue and quota", False),
    ("notifications", "/notifications", "Notifications", False),
    ("health", "/health", "Service health", True),
)
_COLUMNS = (
    ("name", "Name", "", Key.NAME),
    ("state", "State", "", Key.STATE),
    ("experiment", "Experiment", "", Key.EXPERIMENT),
    ("owner", "Owner", "", Key.OWNER),
    ("account", "Account", "", Key.ACCOUNT),
    ("framework", "Framework", "", Key.FRAMEWORK),
    ("gpus", "GPUs", "num", Key.GPUS),
    ("time", "Time", "num", Key.DURATION),
    ("age", "Submitted", "num", Key.SUBMITTED),
)


@dataclass(frozen=True)
class Head:
    """The head of a column: where it leads to, and how the column is sorted now."""

    name: str
    label: str
    kind: str
    href: str = ""
    sorted: str = ""


def query(values: Mapping[str, Any], **changes: Any) -> str:
    """Return the values with changes as a query string; what is empty is left out."""
    pairs = [
        (name, each)
        for name, value in {**values, **changes}.items()
        for each in (value if isinstance(value, list | tuple) else [value])
        if each not in ("", None, False)
    ]
    return f"?{urlencode(pairs)}" if pairs else "?"


def pages_for(caller: Caller) -> list[tuple[str, str, str]]:
    """Return name, place and label of the pages that somebody may open."""
    return [(name, place, label) for name, place, label, admins in _PAGES if caller.admin or not admins]


def heads(asked: Asked | None, root: str) -> list[Head]:
    """Return the heads of the list of runs; another click on a head turns the order round."""
    return [_head(asked, root, *column) for column in _COLUMNS]


def _head(asked: Asked | None, root: str, name: str, label: str, kind: str, key: Key | None) -> Head:
    if asked is None or key is None:
        return Head(name, label, kind)
    here = asked.sort is key
    # Texts begin with A, amounts and moments with the largest.
    usual = key not in (Key.SUBMITTED, Key.GPUS, Key.DURATION)
    up = not asked.up if here else usual
    wished = {"sort": "" if key is Key.SUBMITTED else key.value, "up": "1" if up else ""}
    order = ("ascending" if asked.up else "descending") if here else ""
    return Head(name, label, kind, f"{root}/{query(asked.values(), **wished)}", order)


def page_address(place: str, values: Mapping[str, Any]) -> Callable[[int], str]:
    """Return what makes the address of another page of the same list."""
    return lambda number: f"{place}{query(values, page=number if number > 1 else '')}"
